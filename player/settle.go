package player

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dalaba/playlist"
)

const (
	settleRows = 200 // rows recorded in one transaction
	settleTold = 5   // airings that did not sound, of which each is told
)

// settle records, beside what airs, airings whose time has passed: after weeks
// without power they are many, and none of them needs a place in the line. One
// that is owed all the same is taken in hand.
func (p *Player) settle(ctx context.Context, gone []playlist.Due) {
	if len(gone) == 0 {
		return
	}
	p.batches++
	h := hand{playlist.AiringID(fmt.Sprint("batch ", p.batches)), ""}
	p.handAt(h, gone[0].Due)
	b := &batch{p: p, programme: p.programme, each: len(gone) <= settleTold}
	p.work.Go(func() {
		for _, d := range gone {
			if len(b.rows) == 0 {
				p.handAt(h, d.Due) // all before is recorded
			}
			if b.add(ctx, d) != nil {
				return // the watermark stays behind: the next start asks again
			}
		}
		if b.flush(ctx) != nil {
			return
		}
		if !b.each {
			p.Log.Warn("airings did not sound", "airings", len(gone), "rows", b.recorded, "from", gone[0].Due, "to", gone[len(gone)-1].Due)
		}
		p.mu.Lock()
		delete(p.inHand, h)
		p.mu.Unlock()
	})
}

// handAt notes that what is in hand fell due then.
func (p *Player) handAt(h hand, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inHand[h] = due
}

// batch gathers rows of airings that did not sound.
type batch struct {
	p         *Player
	programme *playlist.Programme
	each      bool // each is told of
	rows      []playlist.Row
	recorded  int
}

func (b *batch) add(ctx context.Context, d playlist.Due) error {
	var all []playlist.Row
	err := b.p.insist(ctx, b.p.Log, time.Time{}, func() (err error) {
		all, err = b.p.Ledger.Rows(context.WithoutCancel(ctx), d.ID)
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range d.Slot.Outputs {
		mine := slices.DeleteFunc(slices.Clone(all), func(r playlist.Row) bool { return r.Output != name })
		s := b.programme.Stand(d, mine, b.p.Wall())
		if s.Perform {
			b.p.take(ctx, d, name)
			continue
		}
		f := b.p.performance(b.programme, d, name)
		rows := f.silent(s.First, s.Outcome, s.Reason)
		if b.each && len(rows) > 0 {
			f.log.Warn("airing did not sound", "outcome", s.Outcome, "reason", s.Reason)
		}
		b.rows = append(b.rows, rows...)
	}
	if len(b.rows) >= settleRows {
		return b.flush(ctx)
	}
	return nil
}

func (b *batch) flush(ctx context.Context) error {
	if len(b.rows) == 0 {
		return nil
	}
	err := b.p.insist(ctx, b.p.Log, time.Time{}, func() error {
		return b.p.Ledger.Record(context.WithoutCancel(ctx), b.rows...)
	})
	if err != nil {
		return err
	}
	for _, r := range b.rows {
		b.p.Watch(Moment{MomentSilent, r})
	}
	b.recorded += len(b.rows)
	b.rows = nil
	return nil
}
