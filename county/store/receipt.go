package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// MaxReceipts is how many receipts [Store.AddReceipts] takes at once.
const MaxReceipts = 1000

// AddReceipts keeps receipts of one epoch of a controller and what follows from
// them, and returns the epoch's high-water mark: all receipts up to it are
// stored. Those at or below the mark are not read again. If the others do
// not continue from the mark, nothing is kept and the error is [link.ErrGap],
// unless what is missing is gone for good. One that is [link.Receipt.Wrong] is
// passed over.
//
// If the epoch belongs to another key, or other receipts are stored under the numbers of
// these, nothing is kept and the error is [link.ErrTaken].
//
// A receipt that corrects an earlier one, or is about the same row, supersedes
// it; both are kept.
func (s *Store) AddReceipts(ctx context.Context, b link.Batch) (mark int64, err error) {
	if len(b.Receipts) > MaxReceipts {
		return 0, fmt.Errorf("%w: %d receipts at once, %d at most", playlist.ErrInvalid, len(b.Receipts), MaxReceipts)
	}
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		mark, err = s.addReceipts(ctx, tx, b)
		return err
	})
	return mark, err
}

// Mark is the high-water mark of an epoch; 0 if nothing of it is stored. ok is false if
// the epoch belongs to another controller's key.
func (s *Store) Mark(ctx context.Context, id playlist.ControllerID, epoch string) (mark int64, ok bool, err error) {
	e, err := s.findEpoch(ctx, s.read(), id, epoch, "")
	if errors.Is(err, link.ErrTaken) {
		return 0, false, nil
	}
	return e.mark, err == nil, err
}

func (s *Store) addReceipts(ctx context.Context, tx conn, given link.Batch) (int64, error) {
	e, err := s.epoch(ctx, tx, given.Controller, given.Epoch)
	if err != nil {
		return 0, err
	}
	for i, r := range given.Receipts {
		if want := given.Receipts[0].Row.Seq + int64(i); r.Row.Seq != want {
			return e.mark, fmt.Errorf("%w: %d wanted, %d found", link.ErrGap, want, r.Row.Seq)
		}
	}
	list, mark, lost, err := given.After(e.mark)
	if err != nil {
		return e.mark, err
	}
	if err := s.compare(ctx, tx, e, given.Receipts[:len(given.Receipts)-len(list)]); err != nil {
		return e.mark, err
	}
	if len(list) == 0 {
		return e.mark, nil
	}
	b := &intake{s: s, tx: tx, controller: given.Controller, epoch: e, now: s.now().UnixMicro(), tallies: map[tallyKey]sums{}, marks: map[presenceKey]*marks{}}
	list = slices.DeleteFunc(slices.Clone(list), func(r link.Receipt) bool { return r.Wrong != nil })
	if err := b.add(ctx, list); err != nil {
		return 0, err
	}
	return mark, tx.exec(ctx, "UPDATE epoch SET mark = ?2, earshot_mark = ?2, at = ?3, lost = lost + ?4 WHERE id = ?1", e.id, mark, s.now().UnixMicro(), lost)
}

// epochRow is an epoch of a controller.
type epochRow struct {
	id, mark int64  // id 0: it is not stored yet
	key      string // that the controller has now
	area     string // of the controller
}

// findEpoch finds an epoch of a controller. An epoch belongs to the key that first
// used it, or has taken it over in [Store.UseCode] or [Store.ChangeController]; for
// another key the error is [link.ErrTaken]. A box that was enrolled under another ID
// since goes on after the last receipt that it sent before.
func (s *Store) findEpoch(ctx context.Context, from conn, id playlist.ControllerID, name, lock string) (e epochRow, err error) {
	if err := from.row(ctx, "SELECT public_key, area FROM controller WHERE id = ?1", string(id)).Scan(&e.key, &e.area); err != nil {
		return e, found(err, "controller", id)
	}
	var mine, same, others bool
	err = from.each(ctx, "SELECT id, controller, mark, public_key FROM epoch WHERE name = ?1"+lock, []any{clean(name)}, func(scan func(...any) error) error {
		var n, mark int64
		var owner, key string
		err := scan(&n, &owner, &mark, &key)
		own := key == "" || key == e.key // empty: the program one version back made it
		switch {
		case owner == string(id):
			mine, e.id, e.mark, same = true, n, mark, own
		case mine:
		case own:
			same, e.mark = true, max(e.mark, mark)
		default:
			others = true
		}
		return err
	})
	if err == nil && !same && (mine || others) {
		err = fmt.Errorf("%w: epoch %s belongs to another key", link.ErrTaken, name)
	}
	return e, err
}

// epoch is [Store.findEpoch], and stores the epoch if it is new to the controller.
func (s *Store) epoch(ctx context.Context, tx conn, id playlist.ControllerID, name string) (e epochRow, err error) {
	lock := ""
	if s.pg {
		lock = " FOR UPDATE"
	}
	if e, err = s.findEpoch(ctx, tx, id, name, lock); err != nil || e.id != 0 {
		return e, err
	}
	err = tx.exec(ctx, `INSERT INTO epoch (controller, name, at, public_key, mark, earshot_mark) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
		ON CONFLICT (controller, name) DO NOTHING`, string(id), clean(name), s.now().UnixMicro(), e.key, e.mark)
	if err != nil {
		return e, err
	}
	return s.findEpoch(ctx, tx, id, name, lock)
}

// compare returns [link.ErrTaken] if other receipts are stored under the numbers of
// these. A receipt whose clock was repaired since, or whose row was deleted here, is the
// same.
func (s *Store) compare(ctx context.Context, tx conn, e epochRow, list []link.Receipt) error {
	if len(list) == 0 {
		return nil
	}
	type made struct {
		output, boot     string
		mono, item, part int64
	}
	stored := map[int64]made{}
	err := tx.each(ctx, `SELECT r.seq, o.name, r.boot, r.mono_ms, r.item, r.part FROM receipt r JOIN output o ON o.id = r.output
		WHERE r.epoch = ?1 AND r.seq BETWEEN ?2 AND ?3`, []any{e.id, list[0].Row.Seq, list[len(list)-1].Row.Seq}, func(scan func(...any) error) error {
		var seq int64
		var m made
		err := scan(&seq, &m.output, &m.boot, &m.mono, &m.item, &m.part)
		stored[seq] = m
		return err
	})
	for _, r := range list {
		was, ok := stored[r.Row.Seq]
		if err == nil && ok && r.Wrong == nil && was != (made{clean(r.Row.Output), clean(r.Row.Boot), r.Row.MonoMS, int64(r.Row.Item), int64(r.Row.Part)}) {
			return fmt.Errorf("%w: number %d", link.ErrTaken, r.Row.Seq)
		}
	}
	return err
}

// names are the numbers by which the store calls what recurs in rows. Only
// the writer touches them.
type names struct {
	strands  map[strand]int64
	billings map[billing]int64
	outputs  map[[2]string]Output // by controller and name
	earshots map[earshot]int64
}

func (n *names) reset() {
	*n = names{map[strand]int64{}, map[billing]int64{}, map[[2]string]Output{}, map[earshot]int64{}}
}

type strand struct{ slot, playlist, airing, alert string }

func strandOf(r asrun.Row) strand {
	st := strand{clean(r.Slot), clean(r.Playlist), "", clean(string(r.Alert))}
	if r.Airing != playlist.NewAiringID(r.Slot, r.Due) {
		st.airing = clean(string(r.Airing))
	}
	return st
}

type billing struct {
	clip, title, series string
	issue               int64
}

// mostNames bounds the memory spent on names; every alert has one of its own.
const mostNames = 200_000

func (s *Store) strand(ctx context.Context, tx conn, st strand) (int64, error) {
	if id, ok := s.names.strands[st]; ok {
		return id, nil
	}
	id, err := intern(ctx, tx, "strand", "slot = ?1 AND playlist = ?2 AND airing = ?3",
		"(slot, playlist, airing, alert) VALUES (?1, ?2, ?3, ?4)", st.slot, st.playlist, st.airing, st.alert)
	if err == nil && len(s.names.strands) < mostNames {
		s.names.strands[st] = id
	}
	return id, err
}

func (s *Store) billing(ctx context.Context, tx conn, r asrun.Row) (int64, error) {
	b := billing{string(r.Clip), clean(r.Title), clean(r.Series), int64(r.Issue)}
	if id, ok := s.names.billings[b]; ok {
		return id, nil
	}
	id, err := intern(ctx, tx, "billing", "clip = ?1 AND title = ?2 AND series = ?3 AND issue = ?4",
		"(clip, title, series, issue) VALUES (?1, ?2, ?3, ?4)", b.clip, b.title, b.series, b.issue)
	if err == nil && len(s.names.billings) < mostNames {
		s.names.billings[b] = id
	}
	return id, err
}

// intern finds the number of a row, or makes one.
func intern(ctx context.Context, tx conn, table, where, into string, args ...any) (id int64, err error) {
	used := args[:strings.Count(where, "?")]
	find := fmt.Sprintf("SELECT id FROM %s WHERE %s", table, where)
	if err = tx.row(ctx, find, used...).Scan(&id); !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	if err := tx.exec(ctx, fmt.Sprintf("INSERT INTO %s %s ON CONFLICT DO NOTHING", table, into), args...); err != nil {
		return 0, err
	}
	err = tx.row(ctx, find, used...).Scan(&id)
	return id, err
}

func (s *Store) output(ctx context.Context, tx conn, id playlist.ControllerID, r asrun.Row, area string) (Output, error) {
	key := [2]string{string(id), clean(r.Output)}
	if o, ok := s.names.outputs[key]; ok {
		return o, nil
	}
	err := tx.exec(ctx, `INSERT INTO output (controller, name, area, residents) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (controller, name) DO NOTHING`, key[0], key[1], area, int64(r.Residents))
	if err != nil {
		return Output{}, err
	}
	all, err := loadOutputs(ctx, tx, " WHERE controller = ?1 AND name = ?2", key[0], key[1])
	if err != nil {
		return Output{}, err
	}
	s.names.outputs[key] = all[0]
	return all[0], nil
}

// intake is the receipts of one transaction on their way into the store.
type intake struct {
	s          *Store
	tx         conn
	controller playlist.ControllerID
	epoch      epochRow
	now        int64 // in Unix microseconds
	tallies    map[tallyKey]sums
	marks      map[presenceKey]*marks
}

// itemKey names one clip of one airing on one output.
type itemKey struct{ strand, due, output, item int64 }

func byDue(x, y itemKey) int { return cmp.Compare(x.due, y.due) }

// part is what one receipt says of an item.
type part struct {
	epoch, seq, part int64
	billing          int64
	clip             bool // one had been chosen
	area             string
	residents        int64
	delivered        bool
	started          bool
	completed        bool
}

// item is an item before and after the batch.
type item struct {
	slot          string // empty if the airing is not named by a slot and its due instant
	before, after []part
}

// incoming is a receipt with what the store calls its row by.
type incoming struct {
	link.Receipt
	values []any // of its row in the table
	item   itemKey
	part   part
	counts bool // it counts in reach; an alert has an account of its own
}

// add writes the receipts and all that is counted of them.
func (b *intake) add(ctx context.Context, given []link.Receipt) error {
	list := make([]incoming, len(given))
	items := map[itemKey]*item{}
	rows := make([][]any, len(given))
	for i, r := range given {
		in, err := b.read(ctx, r)
		if err != nil {
			return err
		}
		list[i], rows[i] = in, in.values
		if !in.counts {
			continue
		}
		items[in.item] = &item{}
		if s := strandOf(r.Row); s.airing == "" {
			items[in.item].slot = s.slot
		}
	}
	corrected, err := b.corrected(ctx, given, items)
	if err != nil {
		return err
	}
	if err := b.load(ctx, items); err != nil {
		return err
	}
	for _, it := range items {
		it.after = slices.Clone(it.before)
	}
	if err := b.insert(ctx, rows); err != nil {
		return err
	}
	for i, in := range list {
		if err := b.replace(ctx, in, corrected[i], items); err != nil {
			return err
		}
	}
	// In order of due, so that residents that an output had earlier have the lower number.
	for _, k := range slices.SortedFunc(maps.Keys(items), byDue) {
		if err := b.count(ctx, k, items[k]); err != nil {
			return err
		}
	}
	if err := b.writeSums(ctx); err != nil {
		return err
	}
	return b.clearSilence(ctx, items)
}

// read finds the numbers by which the store calls what a receipt names.
func (b *intake) read(ctx context.Context, r link.Receipt) (in incoming, err error) {
	row := r.Row
	area := string(row.Area)
	if _, err := playlist.ParseArea(area); err != nil {
		area = b.epoch.area
	}
	st, err := b.s.strand(ctx, b.tx, strandOf(row))
	if err != nil {
		return in, err
	}
	bill, err := b.s.billing(ctx, b.tx, row)
	if err != nil {
		return in, err
	}
	out, err := b.s.output(ctx, b.tx, b.controller, row, area)
	if err != nil {
		return in, err
	}
	return incoming{
		Receipt: r,
		values: []any{b.epoch.id, row.Seq, b.now, st, row.Due.UnixMicro(), out.ID, int64(row.Item), int64(row.Part), bill,
			int64(row.Rank), micros(row.Cued), micros(row.Started), micros(row.Ended), row.FromFrame, row.Frames, row.OfFrames,
			row.AtFrame, row.LevelDB, int64(row.Residents), area, clean(string(row.Used)), clean(string(row.Outcome)),
			clean(string(row.Reason)), clean(string(row.Clock)), clean(row.Boot), row.MonoMS},
		item: itemKey{st, row.Due.UnixMicro(), out.ID, int64(row.Item)},
		part: part{
			epoch: b.epoch.id, seq: row.Seq, part: int64(row.Part), billing: bill, clip: row.Clip != "", area: area,
			residents: int64(row.Residents), delivered: !row.Cued.IsZero() || row.Frames > 0, started: row.Frames > 0,
			completed: row.Outcome == asrun.Complete,
		},
		counts: row.Alert == "",
	}, nil
}

// replace marks the receipts that a new one corrects or repeats as superseded,
// and has the new one count in their place.
func (b *intake) replace(ctx context.Context, in incoming, corrects target, items map[itemKey]*item) error {
	if corrects != (target{}) {
		if err := b.supersede(ctx, corrects.epoch, corrects.seq); err != nil {
			return err
		}
		if it := items[corrects.item]; it != nil {
			it.after = slices.DeleteFunc(it.after, func(p part) bool { return p.epoch == corrects.epoch && p.seq == corrects.seq })
		}
	}
	if !in.counts {
		return b.supersedeAlert(ctx, in)
	}
	it := items[in.item]
	j := slices.IndexFunc(it.after, func(p part) bool { return p.part == in.part.part })
	if j < 0 {
		it.after = append(it.after, in.part)
		return nil
	}
	old := it.after[j]
	it.after[j] = in.part
	return b.supersede(ctx, old.epoch, old.seq)
}

// target is a receipt that another puts right.
type target struct {
	epoch, seq int64
	item       itemKey
}

// corrected finds the receipts that the batch puts right, and adds their items
// to those it speaks of. One that is not here, or of this very batch, is left
// to what the rows themselves say.
func (b *intake) corrected(ctx context.Context, list []link.Receipt, items map[itemKey]*item) (map[int]target, error) {
	all := map[int]target{}
	for i, r := range list {
		if r.Corrects == nil {
			continue
		}
		var (
			t    target
			slot string
			bare int64
		)
		err := b.tx.row(ctx, `SELECT r.epoch, r.seq, r.strand, r.due, r.output, r.item, CASE WHEN s.airing = '' THEN s.slot ELSE '' END,
			CASE WHEN s.alert = '' THEN 1 ELSE 0 END FROM receipt r JOIN epoch e ON e.id = r.epoch JOIN strand s ON s.id = r.strand
			WHERE e.public_key = ?1 AND e.name = ?2 AND r.seq = ?3 AND r.superseded = 0`,
			b.epoch.key, clean(r.Corrects.Epoch), r.Corrects.Seq).
			Scan(&t.epoch, &t.seq, &t.item.strand, &t.item.due, &t.item.output, &t.item.item, &slot, &bare)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[i] = t
		if bare != 0 && items[t.item] == nil {
			items[t.item] = &item{slot: slot}
		}
	}
	return all, nil
}

// load finds what the store holds of the items.
func (b *intake) load(ctx context.Context, items map[itemKey]*item) error {
	for keys := range slices.Chunk(slices.Collect(maps.Keys(items)), 200) {
		var (
			q    strings.Builder
			args []any
		)
		for i, k := range keys {
			sep := ", "
			if i == 0 {
				sep = ""
			}
			fmt.Fprintf(&q, "%s(CAST(?%d AS BIGINT), CAST(?%d AS BIGINT), CAST(?%d AS BIGINT), CAST(?%d AS BIGINT))",
				sep, 4*i+1, 4*i+2, 4*i+3, 4*i+4)
			args = append(args, k.strand, k.due, k.output, k.item)
		}
		// CROSS JOIN has SQLite begin with the values, of which there are few.
		err := b.tx.each(ctx, `WITH v (s, d, o, i) AS (VALUES `+q.String()+`)
			SELECT `+partColumns+` FROM v CROSS JOIN receipt r JOIN billing b ON b.id = r.billing
			WHERE r.strand = v.s AND r.due = v.d AND r.output = v.o AND r.item = v.i AND r.superseded = 0`,
			args, func(scan func(...any) error) error {
				k, p, err := scanPart(scan)
				if err == nil {
					items[k].before = append(items[k].before, p)
				}
				return err
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// partColumns are what [scanPart] reads of a receipt r with its billing b.
const partColumns = `r.strand, r.due, r.output, r.item, r.epoch, r.seq, r.part, r.billing, CASE WHEN b.clip != '' THEN 1 ELSE 0 END,
	r.area, r.residents, CASE WHEN r.cued IS NOT NULL OR r.frames > 0 THEN 1 ELSE 0 END,
	CASE WHEN r.frames > 0 THEN 1 ELSE 0 END, CASE WHEN r.outcome = 'complete' THEN 1 ELSE 0 END`

func scanPart(scan func(...any) error) (k itemKey, p part, err error) {
	var clip, delivered, started, completed int64
	err = scan(&k.strand, &k.due, &k.output, &k.item, &p.epoch, &p.seq, &p.part, &p.billing, &clip,
		&p.area, &p.residents, &delivered, &started, &completed)
	p.clip, p.delivered, p.started, p.completed = clip != 0, delivered != 0, started != 0, completed != 0
	return k, p, err
}

const receiptColumns = `epoch, seq, stored, strand, due, output, item, part, billing, rank, cued, started, ended, from_frame, frames,
	of_frames, at_frame, level_db, residents, area, used, outcome, reason, clock, boot, mono_ms`

func (b *intake) insert(ctx context.Context, rows [][]any) error {
	return insertMany(ctx, b.tx, "INSERT INTO receipt ("+receiptColumns+") VALUES ", "", rows)
}

// insertMany inserts rows, many a statement.
func insertMany(ctx context.Context, tx conn, head, tail string, rows [][]any) error {
	for some := range slices.Chunk(rows, 200) {
		var (
			q    strings.Builder
			args []any
		)
		q.WriteString(head)
		for i, row := range some {
			if i > 0 {
				q.WriteString(", ")
			}
			for j, v := range row {
				lead := ", "
				if j == 0 {
					lead = "("
				}
				args = append(args, v)
				fmt.Fprintf(&q, "%s?%d", lead, len(args))
			}
			q.WriteString(")")
		}
		if err := tx.exec(ctx, q.String()+tail, args...); err != nil {
			return err
		}
	}
	return nil
}

func (b *intake) supersede(ctx context.Context, epoch, seq int64) error {
	return b.tx.exec(ctx, "UPDATE receipt SET superseded = 1 WHERE epoch = ?1 AND seq = ?2", epoch, seq)
}

// supersedeAlert retires earlier receipts of an alert's row. Those that follow
// in the batch are here already, and a row put right may be among them.
func (b *intake) supersedeAlert(ctx context.Context, in incoming) error {
	row := in.values
	return b.tx.exec(ctx, `UPDATE receipt SET superseded = 1 WHERE strand = ?1 AND due = ?2 AND output = ?3 AND item = ?4 AND part = ?5
		AND superseded = 0 AND NOT (epoch = ?6 AND seq >= ?7)`, row[3], row[4], row[5], row[6], row[7], b.epoch.id, in.Row.Seq)
}

// verdict is what all parts of an item prove together, as [asrun.Tally]
// has it.
type verdict struct {
	billing   int64
	area      string
	residents int64
	sums
}

func judge(parts []part) (v verdict, ok bool) {
	slices.SortFunc(parts, func(x, y part) int { return cmp.Compare(x.part, y.part) })
	for i, p := range parts {
		if i == 0 || p.clip {
			v.billing, v.area, v.residents = p.billing, p.area, p.residents
		}
		v.delivered |= flag(p.delivered)
		v.started |= flag(p.started)
		v.completed |= flag(p.completed)
	}
	v.planned = 1
	v.persons = v.completed * v.residents
	return v, len(parts) > 0
}

// count adds what an item has become and takes away what it was.
func (b *intake) count(ctx context.Context, k itemKey, it *item) error {
	day := b.s.Day(time.UnixMicro(k.due))
	was, before := judge(it.before)
	is, after := judge(it.after)
	if after {
		id, err := b.s.earshot(ctx, b.tx, earshot{k.output, is.residents})
		if err != nil {
			return err
		}
		b.book(day, is, 1)
		b.mark(byOutput, day, is.billing, k.output, is.completed > 0)
		b.mark(byEarshot, day, is.billing, id, is.completed > 0)
	}
	if !before {
		return nil
	}
	b.book(day, was, -1)
	if !after || was.billing != is.billing || was.residents != is.residents || was.completed > is.completed {
		id, err := b.s.earshot(ctx, b.tx, earshot{k.output, was.residents})
		if err != nil {
			return err
		}
		b.doubt(byOutput, day, was.billing, k.output)
		b.doubt(byEarshot, day, was.billing, id)
	}
	return nil
}

// The levels at which sums are kept; see the schema.
const (
	byVillageAndClip = iota
	byVillage
	byTownAndClip
	byCountyAndClip
	byTown
)

// town is the town that an area lies in.
func town(area string) string {
	if len(area) < 12 {
		return area
	}
	return area[:9] + "000"
}

// district is the county that an area lies in.
func district(area string) string {
	if len(area) < 12 {
		return area
	}
	return area[:6] + "000000"
}

func (b *intake) book(day int64, v verdict, sign int64) {
	for _, k := range []tallyKey{
		{byVillageAndClip, v.area, day, v.billing}, {byVillage, v.area, day, anyBilling},
		{byTownAndClip, town(v.area), day, v.billing}, {byTown, town(v.area), day, anyBilling},
		{byCountyAndClip, district(v.area), day, v.billing},
	} {
		s := b.tallies[k]
		s.add(v.sums, sign)
		b.tallies[k] = s
	}
}

// clearSilence deletes the "no receipt" records of airings that have one now.
func (b *intake) clearSilence(ctx context.Context, items map[itemKey]*item) error {
	type place struct{ day, output int64 }
	places := map[place]bool{}
	for k := range items {
		places[place{b.s.Day(time.UnixMicro(k.due)), k.output}] = true
	}
	for p := range places {
		type mute struct {
			slot string
			due  int64
		}
		var silent []mute
		err := b.tx.each(ctx, "SELECT slot, due FROM silence WHERE day = ?1 AND output = ?2", []any{p.day, p.output},
			func(scan func(...any) error) error {
				var m mute
				err := scan(&m.slot, &m.due)
				silent = append(silent, m)
				return err
			})
		if err != nil {
			return err
		}
		for _, m := range silent {
			spoken := false
			for k, it := range items {
				spoken = spoken || k.output == p.output && k.due == m.due && it.slot == m.slot
			}
			if !spoken {
				continue
			}
			if err := b.tx.exec(ctx, "DELETE FROM silence WHERE slot = ?1 AND due = ?2 AND output = ?3", m.slot, m.due, p.output); err != nil {
				return err
			}
		}
	}
	return nil
}

// stateForgotten is the setting of the day before which receipts may have been
// deleted.
const stateForgotten = "receipts_forgotten"

// pruneBite is how many receipts are deleted in one transaction, so that those
// that come in never wait long.
const pruneBite = 2000

// Prune deletes receipts that came in before an instant and whose airings fell
// due before it too, and returns how many. What reports count of them stays,
// and so do the marks, so that none is taken in again. Receipts of alerts stay:
// an alert's account is made of them. If none has come in since the instant,
// it deletes nothing: the clock is wrong, or no room is needed.
func (s *Store) Prune(ctx context.Context, before time.Time) (n int64, err error) {
	var latest int64
	err = s.read().row(ctx, "SELECT coalesce(max(at), 0) FROM epoch").Scan(&latest)
	if err != nil || latest < before.UnixMicro() {
		return 0, err
	}
	err = s.write(ctx, func(ctx context.Context, tx conn) error {
		return raise(ctx, tx, stateForgotten, s.Day(before))
	})
	if err != nil {
		return 0, err
	}
	var epochs []int64
	err = s.read().each(ctx, "SELECT id FROM epoch", nil, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		epochs = append(epochs, id)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, e := range epochs {
		gone, err := s.pruneEpoch(ctx, e, before.UnixMicro())
		n += gone
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// pruneEpoch goes up an epoch, in whose order receipts came in, until it meets
// one that is young enough.
func (s *Store) pruneEpoch(ctx context.Context, epoch, before int64) (n int64, err error) {
	for after := int64(0); ; {
		last, young := after, false
		err := s.read().each(ctx, "SELECT seq, stored FROM receipt WHERE epoch = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
			[]any{epoch, after, int64(pruneBite)}, func(scan func(...any) error) error {
				var seq, stored int64
				if err := scan(&seq, &stored); err != nil {
					return err
				}
				if young = young || stored >= before; !young {
					last = seq
				}
				return nil
			})
		if err != nil || last == after {
			return n, err
		}
		err = s.write(ctx, func(ctx context.Context, tx conn) error {
			gone, err := tx.change(ctx, `DELETE FROM receipt WHERE epoch = ?1 AND seq > ?2 AND seq <= ?3 AND due < ?4
				AND strand NOT IN (SELECT id FROM strand WHERE alert != '')`, epoch, after, last, before)
			n += gone
			return err
		})
		if err != nil || young {
			return n, err
		}
		after = last
	}
}

// RowQuery narrows [Store.Rows].
type RowQuery struct {
	Controller   playlist.ControllerID // empty: any
	Alert        playlist.AlertID      // empty: any
	Since, Until time.Time             // by due; zero: no bound
	Limit        int                   // the latest that many; 0: 1000
}

// RowOf is a row and whose it is.
type RowOf struct {
	Controller playlist.ControllerID `json:"controller"`
	asrun.Row
}

// Rows are the as-run rows that receipts brought, without those superseded,
// by due instant.
func (s *Store) Rows(ctx context.Context, q RowQuery) (all []RowOf, err error) {
	limit := int64(q.Limit)
	if limit == 0 {
		limit = 1000
	}
	from := "receipt r JOIN epoch e ON e.id = r.epoch"
	where, args := "r.superseded = 0", []any{}
	also := func(clause string, v any) {
		args = append(args, v)
		where += fmt.Sprintf(" AND "+clause, len(args))
	}
	if q.Controller != "" {
		also("r.epoch IN (SELECT id FROM epoch WHERE controller = ?%d)", string(q.Controller))
	}
	if q.Alert != "" {
		also("r.strand IN (SELECT id FROM strand WHERE alert = ?%d)", string(q.Alert))
	}
	if !q.Since.IsZero() {
		also("r.due >= ?%d", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		also("r.due < ?%d", q.Until.UnixMicro())
	}
	args = append(args, limit)
	query := fmt.Sprintf(`SELECT e.controller, r.seq, s.slot, s.playlist, s.airing, s.alert, r.due, o.name, r.item, r.part,
		b.clip, b.title, b.series, b.issue, r.rank, r.cued, r.started, r.ended, r.from_frame, r.frames, r.of_frames, r.at_frame,
		r.level_db, r.residents, r.area, r.used, r.outcome, r.reason, r.clock, r.boot, r.mono_ms
		FROM %s JOIN strand s ON s.id = r.strand JOIN output o ON o.id = r.output JOIN billing b ON b.id = r.billing
		WHERE %s ORDER BY r.due DESC, e.controller DESC, r.epoch DESC, r.seq DESC LIMIT ?%d`, from, where, len(args))
	err = s.read().each(ctx, query, args, func(scan func(...any) error) error {
		var (
			r                         RowOf
			due                       int64
			cued, started, ended      sql.NullInt64
			airing, clip, area, alert string
		)
		err := scan(&r.Controller, &r.Seq, &r.Slot, &r.Playlist, &airing, &alert, &due, &r.Output, &r.Item, &r.Part,
			&clip, &r.Title, &r.Series, &r.Issue, &r.Rank, &cued, &started, &ended, &r.FromFrame, &r.Frames, &r.OfFrames, &r.AtFrame,
			&r.LevelDB, &r.Residents, &area, &r.Used, &r.Outcome, &r.Reason, &r.Clock, &r.Boot, &r.MonoMS)
		if err != nil {
			return err
		}
		r.Due = time.UnixMicro(due).UTC()
		r.Cued, r.Started, r.Ended = instant(cued), instant(started), instant(ended)
		r.Clip, r.Area, r.Alert, r.Airing = playlist.ClipID(clip), playlist.Area(area), playlist.AlertID(alert), playlist.AiringID(airing)
		if airing == "" {
			r.Airing = playlist.NewAiringID(r.Slot, r.Due)
		}
		all = append(all, r)
		return nil
	})
	slices.Reverse(all)
	return all, err
}
