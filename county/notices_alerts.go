package county

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"dalaba/county/notice"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

const (
	// unheardAfter is how long after an alert was to sound the controllers that have not
	// sounded it are told of.
	unheardAfter = 2 * time.Minute

	// refusedEvery is how often messages that were refused are told of: anyone can send
	// them.
	refusedEvery = 10 * time.Minute

	// alertsOverlap is how far back alerts are looked for beyond the last time: one that
	// was taken in by then may have been written since.
	alertsOverlap = 10 * time.Minute

	// rememberAlert is how long after it came it is remembered that an alert was told.
	rememberAlert = time.Hour
)

// alertWatch is what is known of an alert that was told.
type alertWatch struct {
	Received time.Time `json:"received"`
	Refused  bool      `json:"refused,omitempty"` // and not told yet
	Open     bool      `json:"open,omitempty"`    // it was in force the last time
	Heard    bool      `json:"heard,omitempty"`   // it was looked at whether it sounded
	Waits    bool      `json:"waits,omitempty"`   // for a person, the last time
	At       time.Time `json:"at,omitzero"`       // of the mark: the last time
	Told     time.Time `json:"told,omitzero"`     // of the mark: when refused messages were last told
}

// theMark is the subject of when alerts were last looked at.
const theMark = ""

// alertsView is what there is of alerts, and what is told of them.
type alertsView struct {
	notices *notices
	now     time.Time
	known   map[string]alertWatch
	next    map[string]alertWatch
	news    []notice.Notice
}

// watchAlerts looks at the alerts: those that came, those that were cancelled, and those
// that should have sounded by now.
func (n *notices) watchAlerts(ctx context.Context) error {
	now := n.now()
	read, err := n.store.Watched(ctx, notice.Alert)
	if err != nil {
		return err
	}
	known, err := readAlerts(read)
	if err != nil {
		return err
	}
	since := now.Add(-alertsOverlap)
	if last := known[theMark].At; !last.IsZero() && last.Before(now) {
		since = last.Add(-alertsOverlap)
	}
	fresh, err := n.store.AlertsBetween(ctx, since, time.Time{})
	if err != nil {
		return err
	}
	inForce, err := n.store.AlertsInForce(ctx)
	if err != nil {
		return err
	}
	all := map[playlist.AlertID]store.Alert{}
	for _, a := range append(fresh, inForce...) {
		all[a.ID] = a
	}
	for subject, w := range known {
		id := playlist.AlertID(subject)
		if _, there := all[id]; there || !w.Open {
			continue
		}
		a, err := n.store.Alert(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil {
			all[id] = a
		}
	}
	v := &alertsView{notices: n, now: now, known: known, next: map[string]alertWatch{}}
	if err := v.look(ctx, all); err != nil {
		return err
	}
	changed, err := v.changed()
	if err != nil || len(changed) == 0 && len(v.news) == 0 {
		return err
	}
	return n.store.Attend(ctx, notice.Alert, func(list []store.Watch) ([]store.Watch, []notice.Notice, error) {
		if !slices.Equal(list, read) {
			return nil, nil, nil // another replica was first: what is left is found the next time
		}
		return changed, v.news, nil
	})
}

func readAlerts(list []store.Watch) (map[string]alertWatch, error) {
	known := map[string]alertWatch{}
	for _, w := range list {
		var a alertWatch
		if err := json.Unmarshal([]byte(w.State), &a); err != nil {
			return nil, err
		}
		known[w.Subject] = a
	}
	return known, nil
}

// changed lists what has changed of what is known.
func (v *alertsView) changed() (all []store.Watch, err error) {
	for subject, w := range v.next {
		if was, known := v.known[subject]; known && was == w {
			continue
		}
		state, err := json.Marshal(w)
		if err != nil {
			return nil, err
		}
		all = append(all, store.Watch{Subject: subject, State: string(state)})
	}
	for subject := range v.known {
		if _, kept := v.next[subject]; !kept {
			all = append(all, store.Watch{Subject: subject})
		}
	}
	return all, nil
}

// look decides what is told.
func (v *alertsView) look(ctx context.Context, all map[playlist.AlertID]store.Alert) error {
	for subject, w := range v.known {
		if v.now.Sub(w.Received) < rememberAlert || w.Refused {
			v.next[subject] = w
		}
	}
	for _, a := range slices.SortedFunc(maps.Values(all), asTheyCame) {
		if a.Kind == emergency.KindCancel || a.Class == emergency.ClassTest || a.Class == emergency.ClassDrillSystem {
			continue // what a cancel ends is told
		}
		w, err := v.one(ctx, a)
		if err != nil {
			return err
		}
		if w.Open || w.Refused || v.now.Sub(w.Received) < rememberAlert {
			v.next[string(a.ID)] = w
		}
	}
	mark := v.known[theMark]
	if v.now.Sub(mark.At) >= alertsOverlap/2 || v.now.Before(mark.At) {
		mark.At = v.now
	}
	v.tellRefused(all, &mark)
	v.next[theMark] = mark
	return nil
}

// one decides what is told of an alert.
func (v *alertsView) one(ctx context.Context, a store.Alert) (alertWatch, error) {
	w, known := v.known[string(a.ID)]
	if known && !w.Received.Equal(a.Received) {
		known = false // another copy of it came, and counts
	}
	if !known {
		w = alertWatch{Received: a.Received}
		if a.State == emergency.StateRefused {
			w.Refused = true
			return w, nil
		}
	}
	over := a.State.Over()
	begins := later(a.Ordered(), a.NotBefore)
	look := !w.Heard && a.State != emergency.StateReview && (v.now.Sub(begins) >= unheardAfter || over)
	released := known && w.Waits && !over && a.State != emergency.StateReview
	if known && (!w.Open || !over && !look && !released) {
		return w, nil
	}
	acc, err := v.notices.outcomes.account(ctx, a.ID)
	if err != nil {
		return w, err
	}
	acc.Alert.State = a.State // as of the other things that are told
	areas := areasOf(acc)
	stamp := a.Received.Format("20060102T150405.000000")
	was := w.Open
	w.Waits = a.State == emergency.StateReview
	if released {
		v.tell(a, areas, "released/"+stamp, v.notices.released(acc))
	}
	if w.Open = !over; !known {
		v.tell(a, areas, "in/"+stamp, v.notices.received(acc))
		if over {
			return w, nil
		}
	}
	if was && (a.State == emergency.StateCancelled || a.State == emergency.StateRefused) { // refused: it waited for a person
		v.tell(a, areas, "cancelled/"+stamp, takenBack(a))
		return w, nil
	}
	if look {
		w.Heard = true
		if text, ok := unheard(acc, v.now.Sub(begins)); ok {
			v.tell(a, areas, "unheard/"+stamp, text)
		}
	}
	return w, nil
}

// takenBack says that an alert does not sound any more, or not at all.
func takenBack(a store.Alert) say.Message {
	text := say.M("notice.alert_cancelled", titleOf(a))
	if a.Why != string(emergency.ReasonCancelled) {
		text = notice.With(text, say.M("notice.alert_why", say.Word("county.refused_", a.Why)))
	}
	return text
}

// tell keeps a notice about an alert for those who are to have it.
func (v *alertsView) tell(a store.Alert, areas []playlist.Area, what string, text say.Message) {
	for _, to := range v.notices.to {
		if to.Wants(notice.Alert) && concerns(to, areas) {
			m := to.Notice(notice.Alert, "alert/"+string(a.ID)+"/"+what, text, v.now)
			if !a.Class.Drill() {
				m.Level = a.Level
			}
			v.news = append(v.news, m)
		}
	}
}

// concerns reports whether a recipient is told of what is about areas; none are the whole
// county.
func concerns(to Notify, areas []playlist.Area) bool {
	return len(areas) == 0 || slices.ContainsFunc(areas, func(a playlist.Area) bool {
		return to.Covers(a) || slices.ContainsFunc(to.Areas, func(own playlist.Area) bool { return own.Within(a) })
	})
}

// areasOf lists the areas that an alert is about: those it names, and those of its
// controllers.
func areasOf(acc AlertAccount) []playlist.Area {
	areas := slices.Clone(acc.Alert.Areas)
	for _, t := range acc.All {
		areas = append(areas, t.Area)
	}
	return areas
}

// tellRefused tells of the messages that were refused, all in one notice, and not again for
// a while.
func (v *alertsView) tellRefused(all map[playlist.AlertID]store.Alert, mark *alertWatch) {
	var list []store.Alert
	for subject, w := range v.next {
		if a, there := all[playlist.AlertID(subject)]; w.Refused && there {
			list = append(list, a)
		} else if w.Refused && v.now.Sub(w.Received) > rememberAlert {
			delete(v.next, subject) // it is no longer kept
		}
	}
	if since := v.now.Sub(mark.Told); len(list) == 0 || !mark.Told.IsZero() && since >= 0 && since < refusedEvery {
		return
	}
	mark.Told = v.now
	slices.SortFunc(list, asTheyCame)
	for _, a := range list {
		w := v.next[string(a.ID)]
		w.Refused = false
		v.next[string(a.ID)] = w
	}
	for _, to := range v.notices.to {
		theirs := slices.DeleteFunc(slices.Clone(list), func(a store.Alert) bool { return !concerns(to, a.Areas) })
		if len(theirs) == 0 || !to.Wants(notice.Alert) {
			continue
		}
		var names notice.Names
		var lines []say.Message
		for _, a := range theirs {
			names = append(names, titleOf(a))
			lines = append(lines, say.M("notice.alert_refused", titleOf(a), senderOf(a), v.notices.stamp(a.Received), say.Word("county.refused_", a.Why)))
		}
		key := "refused/" + string(theirs[0].ID) + "/" + theirs[0].Received.Format("20060102T150405.000000")
		v.news = append(v.news, to.Notice(notice.Alert, key, notice.With(say.M("notice.alerts_refused", len(theirs), names), lines...), v.now))
	}
}

func asTheyCame(a, b store.Alert) int {
	return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.ID, b.ID))
}

// titleOf is what an alert is called on the phone.
func titleOf(a store.Alert) say.Message {
	title := say.M("cli.as_it_is", brief(a.Headline()))
	if a.Class.Drill() {
		return say.M("notice.alert_level", say.M("alerts.class_"+string(a.Class)), title)
	}
	if a.Level == 0 {
		return title
	}
	return say.M("notice.alert_level", say.Word("alerts.level_", string(rune('0'+a.Level))), title)
}

// senderOf is who sent an alert, for people.
func senderOf(a store.Alert) string { return brief(cmp.Or(a.SenderName, a.Sender)) }

// mostBrief is of how many characters a text of a stranger may be on the phone.
const mostBrief = 60

// brief is what a stranger has written as it may stand in a line on the phone.
func brief(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	if all := []rune(plain(s)); len(all) > mostBrief {
		return string(all[:mostBrief-1]) + "…"
	}
	return plain(s)
}

// targets says which controllers an alert is for.
func targets(acc AlertAccount) (lines []say.Message) {
	var names notice.Names
	for _, t := range acc.All {
		names = append(names, notice.NamesOf(cmp.Or(t.Name, string(t.Controller)))...)
	}
	if len(names) > 0 {
		lines = append(lines, say.M("notice.alert_for", acc.Controllers.Targeted, acc.Controllers.Online, names))
	}
	return lines
}

// released says that an alert waits for no person any more, and sounds.
func (n *notices) released(acc AlertAccount) say.Message {
	by := say.M("notice.released_by", acc.Alert.Detail.Decider)
	if acc.Alert.Detail.Decider == "" {
		by = say.M("notice.released_itself")
	}
	return notice.With(say.M("notice.alert_released", titleOf(acc.Alert), by), targets(acc)...)
}

// received says that an alert came.
func (n *notices) received(acc AlertAccount) say.Message {
	a := acc.Alert
	lines := targets(acc)
	switch {
	case len(lines) > 0:
	case !a.State.Over() && a.State != emergency.StateReview:
		lines = append(lines, say.M("notice.alert_for_none"))
	}
	if len(a.Areas) > 0 {
		lines = append(lines, say.M("notice.alert_areas", Joined(a.Areas)))
	}
	for _, s := range acc.Short {
		if s.Unsent {
			lines = append(lines, say.M("notice.alert_short", string(s.Scope)))
		}
	}
	if a.State == emergency.StateReview {
		key := "notice.alert_review"
		if a.Detail.Second {
			key = "notice.alert_second"
		}
		lines = append(lines, say.M(key, a.Held.In(n.zone).Format("15:04:05"), string(a.ID)))
	}
	if a.Why != "" {
		lines = append(lines, say.M("notice.alert_why", say.Word("county.refused_", a.Why)))
	}
	lines = append(lines, say.M("notice.alert_from", senderOf(a), n.stamp(a.Received)))
	return notice.With(say.M("notice.alert_in", titleOf(a), say.Word("county.alert_", string(a.State))), lines...)
}

// unheard says which controllers have not sounded an alert; ok is false if all have.
func unheard(acc AlertAccount, after time.Duration) (text say.Message, ok bool) {
	var names notice.Names
	for _, t := range acc.Silent {
		if t.State == emergency.StateAiring {
			continue // its row has not ended yet
		}
		why := "notice.alert_online"
		switch {
		case !t.Online:
			why = "notice.alert_offline"
		case !t.Delivered.IsZero():
			why = "notice.alert_delivered"
		}
		said := say.M(why)
		if t.Why != emergency.ReasonNone {
			said = say.Word("alerts.reason_", string(t.Why))
		}
		names = append(names, say.M("notice.alert_unheard_name", cmp.Or(t.Name, string(t.Controller)), said))
	}
	if len(names) == 0 {
		return text, false
	}
	return notice.With(say.M("notice.alert_unheard", titleOf(acc.Alert), int(after.Minutes()), acc.Controllers.Targeted, len(names)), names...), true
}
