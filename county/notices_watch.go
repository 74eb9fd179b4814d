package county

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalaba/county/notice"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

const (
	// fleetEvery and countyEvery are how often the controllers and the county itself are
	// looked at.
	fleetEvery  = 30 * time.Second
	countyEvery = 30 * time.Second

	// silenceFrom is how long after a start no controller counts as silent yet: they all
	// were while the county was down, and come back one by one.
	silenceFrom = 10 * time.Minute
)

// watch looks for news, and keeps a notice for each recipient of them.
func (n *notices) watch(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.begun.IsZero() {
		n.begun = n.now()
	}
	err := errors.Join(n.watchAlerts(ctx), n.daily(ctx))
	if n.due(notice.Silent, fleetEvery) {
		err = errors.Join(err, n.watchFleet(ctx), n.dropUnknown(ctx))
	}
	if n.due(notice.County, countyEvery) {
		err = errors.Join(err, n.watchCounty(ctx))
	}
	return err
}

// due reports whether it is time to look at something again.
func (n *notices) due(k notice.Kind, every time.Duration) bool {
	now := n.now()
	since := now.Sub(n.looked[k])
	if since >= 0 && since < every {
		return false
	}
	n.looked[k] = now
	return true
}

// watchFleet looks at the controllers.
func (n *notices) watchFleet(ctx context.Context) error {
	list, err := n.fleet.list(ctx, store.FleetQuery{State: store.Active}, false, false)
	if err != nil {
		return err
	}
	present := map[notice.Kind][]notice.Trouble{notice.Silent: nil, notice.Fault: nil, notice.Deaf: nil}
	if n.now().Sub(n.begun) < silenceFrom {
		delete(present, notice.Silent)
	}
	ours := map[playlist.ControllerID]bool{}
	for _, s := range list {
		ours[s.ID] = true
		for _, k := range []notice.Kind{notice.Silent, notice.Fault, notice.Deaf} {
			if _, looked := present[k]; looked {
				present[k] = append(present[k], n.troublesOf(k, s)...)
			}
		}
	}
	for k, now := range present {
		err = errors.Join(err, n.follow(ctx, k, now, func(t notice.Trouble) bool {
			id, _, _ := strings.Cut(t.Subject, " ")
			return ours[playlist.ControllerID(id)]
		}))
	}
	return err
}

// troublesOf lists the troubles of a kind that a controller has.
func (n *notices) troublesOf(k notice.Kind, s Status) (all []notice.Trouble) {
	add := func(which, key string, args ...string) {
		all = append(all, notice.Trouble{
			Subject: strings.TrimSpace(string(s.ID) + " " + which), Name: nameOf(s.Controller), Area: s.Area, What: notice.What{Key: key, Args: args},
		})
	}
	switch k {
	case notice.Silent:
		if !s.Online && !s.Seen.IsZero() { // one that has never come has not become silent
			add("", "notice.last_seen", n.stamp(s.Seen))
		}
	case notice.Deaf:
		if s.Deaf {
			add("", "county.fault_deaf")
		}
	case notice.Fault:
		for _, f := range s.Faults {
			what, how, _ := strings.Cut(f, ": ")
			switch {
			case what == "store":
				add(what, "notice.fault_store", how)
			case how == "away":
				add(what, "notice.fault_away", what)
			default:
				add(what, "notice.fault_other", what, how)
			}
		}
		if len(s.Astray) > 0 && !s.Deaf {
			add("area", "county.fault_astray", Joined(s.Astray))
		}
		if len(s.Shares) > 0 {
			add("key", "county.fault_key", Joined(s.Shares))
		}
	}
	return all
}

// nameOf is a controller's name for people.
func nameOf(k store.Controller) string { return cmp.Or(k.Name, string(k.ID)) }

// stamp is an instant for people.
func (b base) stamp(at time.Time) string { return at.In(b.zone).Format("01-02 15:04") }

// watchCounty looks at the county itself.
func (n *notices) watchCounty(ctx context.Context) error {
	s, err := n.overview.status(ctx)
	if err == nil && s.Store != "ok" {
		err = errors.New(s.Store)
	}
	n.cry(ctx, err)
	if err != nil {
		return err
	}
	present, err := n.troublesOfCounty(ctx, s)
	if err != nil {
		return err
	}
	for _, l := range s.Losses {
		if n.now().Sub(l.At) < 24*time.Hour {
			err = errors.Join(err, n.tellCounty(ctx, fmt.Sprint("loss/", l.At.UnixMicro()), say.M("notice.loss", n.stamp(l.Kept), l.Why)))
		}
	}
	return errors.Join(err, n.follow(ctx, notice.County, present, func(notice.Trouble) bool { return true }))
}

// troublesOfCounty lists the troubles that the county has.
func (n *notices) troublesOfCounty(ctx context.Context, s CountyStatus) (all []notice.Trouble, err error) {
	add := func(subject string, args ...string) {
		all = append(all, notice.Trouble{Subject: subject, Name: n.name, What: notice.What{Key: "notice.trouble_" + subject, Args: args}})
	}
	if n.connected != nil && !n.connected() {
		add("broker")
	}
	t, err := n.documents.trust(ctx)
	if err != nil {
		return nil, err
	}
	if roles := n.documents.keys.unnamed(t); len(roles) > 0 {
		add("keys", Joined(roles))
	}
	if s.TrustAhead > 0 {
		add("trust")
	}
	if s.Unsent > 0 {
		add("unsent")
	}
	return all, nil
}

// tellCounty keeps a notice about the county, unless it was told before.
func (n *notices) tellCounty(ctx context.Context, key string, text say.Message) error {
	for _, to := range n.to {
		if !to.Wants(notice.County) {
			continue
		}
		if _, err := n.store.NoticeByKey(ctx, to.Name+"/"+key); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if _, err := n.store.AddNotice(ctx, to.Notice(notice.County, key, text, n.now())); err != nil {
			return err
		}
	}
	return nil
}

// follow brings what is known of the troubles of a kind up to date, and keeps what is to be
// told. Troubles that are not ours any longer are forgotten.
func (n *notices) follow(ctx context.Context, k notice.Kind, present []notice.Trouble, ours func(notice.Trouble) bool) error {
	return n.store.Attend(ctx, k, func(known []store.Watch) (changed []store.Watch, news []notice.Notice, err error) {
		now := n.now()
		was := map[string]string{}
		var troubles []notice.Trouble
		for _, w := range known {
			var t notice.Trouble
			if err := json.Unmarshal([]byte(w.State), &t); err != nil {
				return nil, nil, err
			}
			was[w.Subject] = w.State
			if ours(t) {
				troubles = append(troubles, t)
			}
		}
		next, told := notice.Follow(k, troubles, present, now)
		for _, t := range next {
			state, err := json.Marshal(t)
			if err != nil {
				return nil, nil, err
			}
			if string(state) != was[t.Subject] {
				changed = append(changed, store.Watch{Subject: t.Subject, State: string(state)})
			}
			delete(was, t.Subject)
		}
		for subject := range was {
			changed = append(changed, store.Watch{Subject: subject})
		}
		for _, what := range []notice.News{notice.IsBad, notice.Flaps, notice.IsWell} {
			for _, to := range n.to {
				theirs := slices.DeleteFunc(slices.Clone(told[what]), func(t notice.Trouble) bool { return t.Area != "" && !to.Covers(t.Area) })
				if len(theirs) > 0 && to.Wants(k) {
					key := fmt.Sprint(k, what, "/", now.UnixMicro())
					news = append(news, to.Notice(k, key, notice.Tell(k, what, theirs), now))
				}
			}
		}
		return changed, news, nil
	})
}
