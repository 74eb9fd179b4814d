package store

import (
	"context"
	"time"
)

// earshot is an output with the residents that it had in earshot at an airing.
type earshot struct {
	output    int64
	residents int64
}

// earshot finds the number of an output with that many residents, or makes one.
func (s *Store) earshot(ctx context.Context, tx conn, e earshot) (int64, error) {
	if id, ok := s.names.earshots[e]; ok {
		return id, nil
	}
	id, err := intern(ctx, tx, "earshot", "output = ?1 AND residents = ?2", "(output, residents) VALUES (?1, ?2)", e.output, e.residents)
	if err == nil && len(s.names.earshots) < mostNames {
		s.names.earshots[e] = id
	}
	return id, err
}

func loadEarshots(ctx context.Context, c conn, f func(id int64, e earshot)) error {
	return c.each(ctx, "SELECT id, output, residents FROM earshot", nil, func(scan func(...any) error) error {
		var id int64
		var e earshot
		err := scan(&id, &e.output, &e.residents)
		f(id, e)
		return err
	})
}

// fillEarshots adds to the sets by earshot what an earlier program took in, if any: it
// kept sets by output alone. The receipts that are still here say how many residents
// an output had; for older airings it is those that the output has now.
func (s *Store) fillEarshots(ctx context.Context) error {
	var behind []string
	err := s.read().each(ctx, "SELECT DISTINCT controller FROM epoch WHERE earshot_mark < mark", nil, func(scan func(...any) error) error {
		var controller string
		err := scan(&controller)
		behind = append(behind, controller)
		return err
	})
	if err != nil || len(behind) == 0 {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		b := &intake{s: s, tx: tx, marks: map[presenceKey]*marks{}}
		outputs, err := loadOutputs(ctx, tx, "")
		if err != nil {
			return err
		}
		now := map[int64]earshot{} // by output
		for _, o := range outputs {
			now[o.ID] = earshot{o.ID, int64(o.Residents)}
		}
		marked := 0
		for i, controller := range behind {
			n, err := b.markReceipts(ctx, controller, now)
			if err != nil {
				return err
			}
			if marked += n; marked < mostMarks && i < len(behind)-1 {
				continue
			}
			if err := b.writeMarks(ctx); err != nil {
				return err
			}
			marked = 0
		}
		if err := b.markOutputs(ctx, now); err != nil {
			return err
		}
		return tx.exec(ctx, "UPDATE epoch SET earshot_mark = mark")
	})
}

// mostMarks bounds the memory spent on marks.
const mostMarks = 1_000_000

// markReceipts marks what the receipts of a controller say that an earlier program took
// in, and returns how many. It leaves out outputs that have always had the residents that
// they have now: [intake.markOutputs] finds those with less work.
func (b *intake) markReceipts(ctx context.Context, controller string, now map[int64]earshot) (n int, err error) {
	type airing struct {
		day, billing int64
		earshot
		complete int64
	}
	var all []airing
	changed := map[int64]bool{} // by output
	err = b.tx.each(ctx, `SELECT r.due, r.billing, r.output, r.residents, CASE WHEN r.outcome = 'complete' THEN 1 ELSE 0 END, e.earshot_mark
		FROM epoch e JOIN receipt r ON r.epoch = e.id JOIN strand s ON s.id = r.strand
		WHERE e.controller = ?1 AND r.seq > e.earshot_mark AND r.superseded = 0 AND s.alert = ''`, []any{controller}, func(scan func(...any) error) error {
		var a airing
		var due, marked int64
		err := scan(&due, &a.billing, &a.output, &a.residents, &a.complete, &marked)
		a.day = b.s.Day(time.UnixMicro(due))
		changed[a.output] = changed[a.output] || a.earshot != now[a.output] || marked > 0
		all = append(all, a)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, a := range all {
		if !changed[a.output] {
			continue
		}
		id, err := b.s.earshot(ctx, b.tx, a.earshot)
		if err != nil {
			return n, err
		}
		b.mark(byEarshot, a.day, a.billing, id, a.complete != 0)
		n++
	}
	return n, nil
}

// markOutputs marks, with the residents that they have now, the outputs that the sets
// by output hold and those by earshot do not.
func (b *intake) markOutputs(ctx context.Context, now map[int64]earshot) (err error) {
	today := map[int64]int64{} // earshot of each output
	for o, e := range now {
		if today[o], err = b.s.earshot(ctx, b.tx, e); err != nil {
			return err
		}
	}
	output := map[int64]int64{} // of each earshot
	if err := loadEarshots(ctx, b.tx, func(id int64, e earshot) { output[id] = e.output }); err != nil {
		return err
	}
	var days []int64
	err = b.tx.each(ctx, "SELECT DISTINCT day FROM presence", nil, func(scan func(...any) error) error {
		var day int64
		err := scan(&day)
		days = append(days, day)
		return err
	})
	for _, day := range days {
		if err == nil {
			err = b.markDay(ctx, day, today, output)
		}
		if err == nil {
			err = b.writeMarks(ctx)
		}
	}
	return err
}

func (b *intake) markDay(ctx context.Context, day int64, today, output map[int64]int64) error {
	type sets struct{ targeted, reached set }
	held := map[int64]*sets{} // by billing, of outputs
	each := func(table string, f func(billing int64, s *sets, targeted, reached set, at int64)) error {
		return b.tx.each(ctx, "SELECT billing, block, targeted, reached FROM "+table+" WHERE day = ?1", []any{day}, func(scan func(...any) error) error {
			var billing, block int64
			var targeted, reached set
			err := scan(&billing, &block, &targeted, &reached)
			if held[billing] == nil {
				held[billing] = &sets{}
			}
			f(billing, held[billing], targeted, reached, block*blockBits)
			return err
		})
	}
	err := each("earshot_presence", func(_ int64, s *sets, targeted, reached set, at int64) {
		targeted.each(func(n int64) { s.targeted.put(output[at+n], true) })
		reached.each(func(n int64) { s.reached.put(output[at+n], true) })
	})
	if err != nil {
		return err
	}
	return each("presence", func(billing int64, s *sets, targeted, reached set, at int64) {
		targeted.each(func(n int64) {
			complete := reached.has(n) && !s.reached.has(at+n)
			if complete || !s.targeted.has(at+n) {
				b.mark(byEarshot, day, billing, today[at+n], complete)
			}
		})
	})
}
