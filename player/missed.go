package player

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

const (
	missedRows = 200 // rows recorded in one transaction
	missedTold = 5   // up to as many airings are logged one by one
)

// recordMissed records, beside what airs, airings whose time has passed: after
// weeks without power they are many, and none of them needs a place in the
// line. It starts those that are owed all the same.
func (p *Player) recordMissed(ctx context.Context, gone []schedule.Due) {
	if len(gone) == 0 {
		return
	}
	p.groups++
	h := hand{playlist.AiringID(fmt.Sprint("group ", p.groups)), ""}
	p.handAt(h, gone[0].Due)
	m := &missed{p: p, programme: p.programme, each: len(gone) <= missedTold}
	p.work.Go(func() {
		for _, d := range gone {
			if len(m.rows) == 0 {
				p.handAt(h, d.Due) // all before is recorded
			}
			if m.add(ctx, d) != nil {
				return // the watermark stays before it: the next start asks again
			}
		}
		if m.flush(ctx) != nil {
			return
		}
		if !m.each {
			p.Log.Warn("airings did not sound", "airings", len(gone), "rows", m.recorded, "from", gone[0].Due, "to", gone[len(gone)-1].Due)
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

// missed collects rows of airings that did not sound.
type missed struct {
	p         *Player
	programme *playlist.Programme
	each      bool // each is logged
	rows      []asrun.Row
	recorded  int
}

func (m *missed) add(ctx context.Context, d schedule.Due) error {
	var all []asrun.Row
	err := m.p.insist(ctx, m.p.Log, time.Time{}, func() (err error) {
		all, err = m.p.Ledger.Rows(context.WithoutCancel(ctx), d.ID)
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range d.Slot.Outputs {
		mine := slices.DeleteFunc(slices.Clone(all), func(r asrun.Row) bool { return r.Output != name })
		s := schedule.Stand(m.programme, d, mine, m.p.Wall())
		if s.Perform {
			m.p.start(ctx, d, name)
			continue
		}
		f := m.p.performance(m.programme, d, name)
		rows := f.silent(s.First, s.Outcome, s.Reason)
		if m.each && len(rows) > 0 {
			f.log.Warn("airing did not sound", "outcome", s.Outcome, "reason", s.Reason)
		}
		m.rows = append(m.rows, rows...)
	}
	if len(m.rows) >= missedRows {
		return m.flush(ctx)
	}
	return nil
}

func (m *missed) flush(ctx context.Context) error {
	if len(m.rows) == 0 {
		return nil
	}
	if err := m.p.record(ctx, m.p.Log, m.rows...); err != nil {
		return err
	}
	m.recorded += len(m.rows)
	m.rows = nil
	return nil
}
