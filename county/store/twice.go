package store

import (
	"context"
	"maps"
	"slices"

	"dalaba/playlist"
)

// fillKeys gives epochs that the program one version back made to the keys of their
// controllers.
func (s *Store) fillKeys(ctx context.Context) error {
	var n int
	if err := s.read().row(ctx, "SELECT count(*) FROM epoch WHERE public_key = ''").Scan(&n); err != nil || n == 0 {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		return tx.exec(ctx, "UPDATE epoch SET public_key = (SELECT public_key FROM controller WHERE id = epoch.controller) WHERE public_key = ''")
	})
}

// twiceBite is how many receipts are corrected in one transaction.
const twiceBite = 500

// twin is an epoch of a controller that another controller has as well, from before: the
// box was enrolled under another ID since, and brought its history again.
type twin struct {
	controller    playlist.ControllerID
	epoch, before int64
	mark          int64 // of the epoch before
}

// mergeTwins takes what was counted twice out of the sums. Release 0.1 counted the history
// of a box anew under each ID that it was enrolled with. A receipt that the earlier
// epoch has as well is superseded. Of those that it has no more it is not known.
func (s *Store) mergeTwins(ctx context.Context) error {
	var all []twin
	err := s.read().each(ctx, `SELECT e.controller, e.id, b.id, b.mark FROM epoch e JOIN epoch b ON b.name = e.name AND b.id < e.id
		ORDER BY e.id, b.id`, nil, func(scan func(...any) error) error {
		var t twin
		err := scan(&t.controller, &t.epoch, &t.before, &t.mark)
		all = append(all, t)
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range all {
		merged, n := 0, twiceBite
		for n == twiceBite {
			err := s.write(ctx, func(ctx context.Context, tx conn) (err error) {
				n, err = s.mergeTwin(ctx, tx, t)
				return err
			})
			if err != nil {
				return err
			}
			merged += n
		}
		if merged > 0 {
			s.log.Warn("receipts were counted twice, the sums are corrected", "controller", t.controller, "receipts", merged)
		}
		var doubtful int
		err := s.read().row(ctx, `SELECT count(*) FROM receipt r WHERE r.epoch = ?1 AND r.seq <= ?2 AND r.superseded = 0
			AND NOT EXISTS (SELECT 1 FROM receipt b WHERE b.epoch = ?3 AND b.seq = r.seq)`, t.epoch, t.mark, t.before).Scan(&doubtful)
		if err != nil {
			return err
		}
		if doubtful > 0 {
			s.log.Warn("receipts may be counted twice: those from before are deleted", "controller", t.controller, "receipts", doubtful)
		}
	}
	return nil
}

// mergeTwin supersedes some receipts that the epoch before has as well, and returns how
// many.
func (s *Store) mergeTwin(ctx context.Context, tx conn, t twin) (n int, err error) {
	b := &intake{s: s, tx: tx, controller: t.controller, now: s.now().UnixMicro(), tallies: map[tallyKey]sums{}, marks: map[presenceKey]*marks{}}
	items := map[itemKey]*item{}
	twice := map[int64]bool{} // by number
	err = tx.each(ctx, "SELECT "+partColumns+`, CASE WHEN s.alert = '' THEN 1 ELSE 0 END
		FROM receipt r JOIN billing b ON b.id = r.billing JOIN strand s ON s.id = r.strand JOIN output o ON o.id = r.output
		JOIN receipt f ON f.epoch = ?2 AND f.seq = r.seq JOIN output p ON p.id = f.output
		WHERE r.epoch = ?1 AND r.seq <= ?3 AND r.superseded = 0 AND f.strand = r.strand AND f.item = r.item AND f.part = r.part
		AND f.boot = r.boot AND f.mono_ms = r.mono_ms AND p.name = o.name ORDER BY r.seq LIMIT ?4`,
		[]any{t.epoch, t.before, t.mark, int64(twiceBite)}, func(scan func(...any) error) error {
			var counts int64
			k, p, err := scanPart(func(into ...any) error { return scan(append(into, &counts)...) })
			twice[p.seq] = true
			if counts != 0 {
				items[k] = &item{}
			}
			return err
		})
	if err != nil || len(twice) == 0 {
		return 0, err
	}
	if err := b.load(ctx, items); err != nil {
		return 0, err
	}
	for seq := range twice {
		if err := b.supersede(ctx, t.epoch, seq); err != nil {
			return 0, err
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(items), byDue) {
		it := items[k]
		it.after = slices.DeleteFunc(slices.Clone(it.before), func(p part) bool { return p.epoch == t.epoch && twice[p.seq] })
		if err := b.count(ctx, k, it); err != nil {
			return 0, err
		}
	}
	return len(twice), b.writeSums(ctx)
}
