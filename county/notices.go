package county

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"dalaba/county/notice"
	"dalaba/county/notice/send"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Notify is a recipient of notices, and how they go out to it.
type Notify struct {
	notice.Rule
	Send func(context.Context, send.Message) error
}

// noticeStore keeps notices, and what they are made of.
type noticeStore interface {
	Watched(ctx context.Context, k notice.Kind) ([]store.Watch, error)
	Attend(ctx context.Context, k notice.Kind, f func([]store.Watch) ([]store.Watch, []notice.Notice, error)) error
	AddNotice(ctx context.Context, n notice.Notice) (added bool, err error)
	ClaimNotice(ctx context.Context, id int64, now, until time.Time) (ok bool, err error)
	EndNotice(ctx context.Context, n notice.Notice) error
	HoldNotices(ctx context.Context, all []notice.Notice) error
	GatherNotices(ctx context.Context, held []notice.Notice, summary notice.Notice) error
	OpenNotices(ctx context.Context) ([]notice.Notice, error)
	EndedNotices(ctx context.Context, state notice.State, since time.Time) ([]notice.Notice, error)
	Notices(ctx context.Context, limit int) ([]notice.Notice, error)
	NoticeByKey(ctx context.Context, key string) (notice.Notice, error)

	Alert(ctx context.Context, id playlist.AlertID) (store.Alert, error)
	AlertsBetween(ctx context.Context, from, to time.Time) ([]store.Alert, error)
	AlertsInForce(ctx context.Context) ([]store.Alert, error)
}

// notices finds what the duty phone is to be told, and tells it. What is told is kept
// before it goes out. Every replica of a county does so; what one has kept or taken in
// hand, the others find in the store.
type notices struct {
	base
	store     noticeStore
	to        []Notify
	fleet     *fleet
	outcomes  *outcomes
	reach     *reach
	documents *documents
	overview  *overview
	connected func() bool // to the broker; nil: it is not known

	mu     sync.Mutex // of what follows: one watch at a time
	begun  time.Time
	looked map[notice.Kind]time.Time

	reported map[string]string // the last daily report that is known to be kept, by recipient

	failing time.Time // since when the store cannot be written; zero: it can
	cried   time.Time // when that was last told

	troubles link.Tally // of our own work
}

// claimFor is how long a notice is in the hands of one replica, which then has died.
const claimFor = time.Minute

func newNotices(o Options, b base, p parts) *notices {
	return &notices{
		base: b, store: o.Store, to: o.Notify, fleet: p.fleet, outcomes: p.outcomes, reach: p.reach, documents: p.documents, overview: p.overview,
		connected: o.Connected, looked: map[notice.Kind]time.Time{}, reported: map[string]string{},
	}
}

// run watches and tells until ctx ends.
func (n *notices) run(ctx context.Context, every time.Duration) {
	if len(n.to) == 0 {
		return
	}
	var group sync.WaitGroup
	again := func(f func(context.Context) error) {
		group.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				if err := f(ctx); err != nil && ctx.Err() == nil {
					n.troubles.Warn(n.log, "", "notices cannot be made or sent", err)
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	again(n.watch)
	for _, to := range n.to {
		again(func(ctx context.Context) error { return n.deliver(ctx, to) })
	}
	group.Wait()
	n.troubles.Flush()
}

// deliver sends what a recipient is to be told now, the most urgent first. What comes
// meanwhile and is more urgent goes ahead of the rest.
func (n *notices) deliver(ctx context.Context, to Notify) error {
	for ctx.Err() == nil {
		now := n.now()
		open, err := n.store.OpenNotices(ctx)
		if err != nil {
			return err
		}
		others := func(o notice.Notice) bool { return o.To != to.Name }
		if open = slices.DeleteFunc(open, others); len(open) == 0 {
			return nil
		}
		told, err := n.store.EndedNotices(ctx, notice.Told, now.Add(-notice.LimitSpan))
		if err != nil {
			return err
		}
		lately := slices.DeleteFunc(told, func(o notice.Notice) bool { return others(o) || o.Kind == notice.Test })
		plan := to.Plan(open, len(lately), now)
		if len(plan.Hold) > 0 {
			if err := n.store.HoldNotices(ctx, plan.Hold); err != nil {
				return err
			}
		}
		if len(plan.Gather) > 0 {
			err := n.store.GatherNotices(ctx, plan.Gather, to.Summary(plan.Gather, now))
			if err != nil && !errors.Is(err, store.ErrStale) {
				return err
			}
			continue
		}
		if len(plan.Send) == 0 {
			return nil
		}
		if err := n.send(ctx, to, plan.Send[0]); err != nil {
			return err
		}
	}
	return nil
}

// send sends a notice, unless another replica has taken it in hand, and keeps what came of
// it. It goes on when the county ends, because no one knows whether a notice that was broken
// off has arrived.
func (n *notices) send(ctx context.Context, to Notify, m notice.Notice) error {
	ctx = context.WithoutCancel(ctx)
	now := n.now()
	ok, err := n.store.ClaimNotice(ctx, m.ID, now, now.Add(claimFor))
	if err != nil || !ok {
		return err
	}
	m.Tries++
	return n.store.EndNotice(ctx, n.outcome(to, m, to.Send(ctx, send.Message{County: n.name, Notice: m})))
}

// outcome is what becomes of a notice that was sent, or could not be.
func (n *notices) outcome(to Notify, m notice.Notice, err error) notice.Notice {
	now := n.now()
	if err == nil {
		m.State, m.Ended, m.Why = notice.Told, now, ""
		return m
	}
	m.Why = say.In(to.Language, err)
	wait, again := notice.Again(m.Tries)
	if again && m.Kind != notice.Test {
		n.log.Warn("notice not delivered, it is tried again", "notify", m.To, "text", m.Headline(), "again_in", wait, "err", err)
		m.State, m.Next = notice.Due, now.Add(wait)
		return m
	}
	n.log.Error("notice could not be delivered", "notify", m.To, "text", m.Text, "err", err)
	m.State, m.Ended = notice.Failed, now
	return m
}

// test sends a recipient a notice now, and returns what came of it, for a reader.
func (n *notices) test(ctx context.Context, name string, reader say.Lang) (notice.Notice, error) {
	to, err := n.recipient(name)
	if err != nil {
		return notice.Notice{}, err
	}
	ctx = context.WithoutCancel(ctx)
	now := n.now()
	m := to.Notice(notice.Test, fmt.Sprint("test/", now.UnixMicro()), say.M("notice.test", n.name, to.Name, now.In(n.zone).Format("01-02 15:04:05")), now)
	m.Next, m.Tries = now.Add(claimFor), 1 // it is in our hands
	if _, err := n.store.AddNotice(ctx, m); err != nil {
		return m, err
	}
	if m, err = n.store.NoticeByKey(ctx, m.Key); err != nil {
		return m, err
	}
	failed := to.Send(ctx, send.Message{County: n.name, Notice: m})
	m = n.outcome(to, m, failed)
	err = n.store.EndNotice(ctx, m)
	if failed != nil {
		m.Why = say.In(reader, failed)
	}
	return m, err
}

// recipient finds a recipient by its name.
func (n *notices) recipient(name string) (Notify, error) {
	var names notice.Names
	for _, to := range n.to {
		if to.Name == name {
			return to, nil
		}
		names = append(names, notice.NamesOf(to.Name)...)
	}
	if len(names) == 0 {
		return Notify{}, fault{store.ErrNotFound, say.M("notice.no_recipients")}
	}
	return Notify{}, fault{store.ErrNotFound, say.M("notice.no_recipient", name, names)}
}

// latest lists the latest notices, the latest first.
func (n *notices) latest(ctx context.Context, limit int) ([]notice.Notice, error) {
	return n.store.Notices(ctx, limit)
}

// dropUnknown gives up notices whose recipient the config no longer has.
func (n *notices) dropUnknown(ctx context.Context) error {
	open, err := n.store.OpenNotices(ctx)
	for _, m := range open {
		if slices.ContainsFunc(n.to, func(to Notify) bool { return to.Name == m.To }) {
			continue
		}
		why := say.M("notice.dropped")
		n.log.Error("notice could not be delivered", "notify", m.To, "text", m.Text, "err", why)
		m.State, m.Ended, m.Why = notice.Failed, n.now(), why.In(n.to[0].Language)
		err = errors.Join(err, n.store.EndNotice(ctx, m))
	}
	return err
}

// cry tells, without the store, that the store cannot be written: at most once an hour,
// and again after a start.
func (n *notices) cry(ctx context.Context, err error) {
	now := n.now()
	switch {
	case err == nil:
		n.failing = time.Time{}
		return
	case n.failing.IsZero():
		n.failing = now
	}
	if now.Sub(n.failing) < time.Minute || !n.cried.IsZero() && now.Sub(n.cried) < time.Hour {
		return
	}
	n.cried = now
	var group sync.WaitGroup
	for _, to := range n.to {
		if to.Wants(notice.County) {
			m := to.Notice(notice.County, "store", say.M("notice.trouble_store", err), now)
			group.Go(func() {
				if err := to.Send(ctx, send.Message{County: n.name, Notice: m}); err != nil {
					n.log.Error("notice could not be delivered", "notify", m.To, "text", m.Text, "err", err)
				}
			})
		}
	}
	group.Wait()
}
