package county

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"dalaba/alert"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// The ways by which a message comes to a county.
const (
	FromEBD  = "ebd"
	FromCAP  = "cap"
	FromFeed = "feed"
	FromHand = store.FromHand
	FromLink = store.FromLink
)

// AlertRules say whose messages a county passes on.
type AlertRules struct {
	Trust    alert.Options // the signatures that hold
	Unsigned []string      // ways by which a message may come without a signature
	Life     time.Duration // of one that names no end; default an hour
	Drills   bool          // drills are passed on
	Retirers []string      // senders who may end the alerts of others, if they are proven as well as those
	Feeds    []Feed

	// Review are the levels of messages from outside that wait for a person, ReviewWait
	// how long: then they sound by themselves.
	Review     []emergency.Level
	ReviewWait time.Duration

	// SecondWait is how long an alert by hand of level red for the whole county waits for a
	// second person: then it is over. 0: it needs none.
	SecondWait time.Duration

	Templates string // the folder of templates for alerts by hand; empty: there are none
}

func (r AlertRules) life() time.Duration { return cmp.Or(r.Life, playlist.DefaultAlertLife) }

// facts are what the rules say of a message that came by source.
func (r AlertRules) facts(source string) emergency.Facts {
	return emergency.Facts{
		Vouched:  source == FromHand || source == FromLink,
		Unsigned: slices.Contains(r.Unsigned, source),
		Drills:   r.Drills,
		Retirers: r.Retirers,
	}
}

// alertStore keeps messages, and knows which were seen before.
type alertStore interface {
	AddAlert(ctx context.Context, a store.Alert, f emergency.Facts, targets []store.Target) (kept store.Alert, ended []store.Alert, err error)
	WeighAlert(ctx context.Context, a store.Alert, f emergency.Facts) (store.Alert, error)
	Alert(ctx context.Context, id playlist.AlertID) (store.Alert, error)
	AlertsInReview(ctx context.Context) ([]store.Alert, error)
	EndReview(ctx context.Context, id playlist.AlertID, retirers []string, targets []store.Target, decide func(*store.Alert) error) (kept store.Alert, ended []store.Alert, err error)
	Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)
	AddClip(ctx context.Context, c playlist.Clip, src io.Reader) error
}

// alerts takes emergency messages in: it decides on each, keeps it, and has it
// issued if it is to sound.
type alerts struct {
	base
	store   alertStore
	rules   AlertRules
	fleet   *fleet
	orders  *orders
	sounds  *sounds
	work    *errands
	changed func(context.Context, playlist.AlertID) // called when the state of an alert has changed
}

// Verdict is what became of a message that came in.
type Verdict struct {
	ID        playlist.AlertID `json:"id"`
	State     emergency.State  `json:"state"`
	Why       string           `json:"why,omitempty"`
	Duplicate bool             `json:"duplicate,omitempty"`
	Scopes    []playlist.Scope `json:"scopes,omitempty"`
	Cuts      []emergency.Cut  `json:"cuts,omitempty"`  // what was left out of it, for there was too much
	Short     []Shortfall      `json:"short,omitempty"` // where it is not sent, or otherwise than it came
	Reaches   Reaches          `json:"reaches"`
	Preview   *Preview         `json:"preview,omitempty"` // of one that came now
	Changes   []Field          `json:"changes,omitempty"` // of the alert that it takes the place of, if an operator wrote it
	Doubts    []Doubt          `json:"doubts,omitempty"`  // an operator has to agree to these

	Held   time.Time `json:"held,omitzero"`    // until when it waits for a person
	Second bool      `json:"second,omitempty"` // for a second one, without whom it does not sound

	doubt emergency.Reason // why its sender is not believed
}

// incoming is a message on its way in.
type incoming struct {
	Alert  emergency.Alert
	Raw    []byte
	Source string // FromEBD, ...
	Silent bool   // it is of a kind that never sounds
	Detail store.AlertDetail
	Sound  *SoundPreview // if it was found out
	Agree  bool          // it is not taken if there are doubts about it

	Warnings []say.Message // about its form
	Cuts     []emergency.Cut
}

// incomingOf is a message that was read.
func incomingOf(m alert.Message, source string) incoming {
	return incoming{Alert: m.Alert, Raw: m.Raw, Source: source, Silent: m.Silent.Key != "", Warnings: m.Warnings, Cuts: m.Cuts}
}

// take decides on a message and keeps it. If it is to sound, its order is issued
// ahead of its sound. When take returns, the message is on the disk and has been
// published, even if the sender has hung up meanwhile.
func (a *alerts) take(ctx context.Context, in incoming) (Verdict, error) {
	ctx = context.WithoutCancel(ctx)
	v, c, msg, facts, err := a.gather(ctx, in)
	if err == nil && in.Agree {
		err = a.agreed(ctx, v, msg, facts)
	}
	if err != nil {
		return v, err
	}
	msg, ended, err := a.store.AddAlert(ctx, msg, facts, c.targets)
	if errors.Is(err, store.ErrConflict) {
		return a.duplicate(ctx, v)
	}
	if err != nil {
		return v, err
	}
	v = v.of(msg)
	if v.doubt == emergency.ReasonNone || in.Source != FromCAP && in.Source != FromEBD { // anyone can send those
		a.log.Warn("emergency message", "alert", msg.ID, "source", msg.Source, "kind", msg.Kind, "class", msg.Class, "level", msg.Level, "state", msg.State, "why", msg.Why, "late", msg.Detail.Late)
		for _, w := range in.Warnings {
			a.log.Warn("alert differs from its format", "alert", msg.ID, "err", w)
		}
	}
	if msg.State == emergency.StateReview {
		a.log.Error("alert waits for a person", "alert", msg.ID, "level", msg.Level, "until", msg.Held)
	}
	v.Short, err = a.pass(ctx, msg, ended)
	return v, err
}

// pass issues what was decided about a message, and what that ended. It returns where
// the message is not sent, or otherwise than it came.
func (a *alerts) pass(ctx context.Context, msg store.Alert, ended []store.Alert) (short []Shortfall, err error) {
	// The order comes first, then what it ended. Each scope is issued even if
	// another fails.
	var scopes []playlist.Scope
	if !msg.State.Over() && msg.State != emergency.StateReview {
		scopes = slices.Clone(msg.Detail.Scopes)
	}
	for _, old := range ended {
		scopes = append(scopes, old.Detail.Scopes...)
	}
	issued := map[playlist.Scope]bool{}
	for _, s := range scopes {
		if !issued[s] {
			issued[s] = true
			said, rerr := a.orders.renew(ctx, s)
			err = errors.Join(err, rerr)
			if fault, ok := said.short[msg.ID]; ok {
				short = append(short, fault)
			} else if said.usedUp { // a cancel is not sent either
				short = append(short, Shortfall{s, unsentUsedUp, true})
			}
		}
	}
	for _, old := range ended {
		a.sounds.stop(old.ID)
		a.changed(ctx, old.ID)
	}
	if !msg.State.Over() {
		a.work.do(func(ctx context.Context) { a.sounds.make(ctx, msg) })
	}
	return short, err
}

// gather gathers the facts for the decision about a message, except those that
// the store knows: its counter, and what has ended it.
func (a *alerts) gather(ctx context.Context, in incoming) (v Verdict, c concern, msg store.Alert, f emergency.Facts, err error) {
	now := a.now()
	msg = store.Alert{Alert: in.Alert, Received: now, Source: in.Source, Raw: in.Raw, Detail: in.Detail}
	msg.Silent = msg.Silent || in.Silent
	msg.Ends, msg.Detail.Late = msg.Alert.Ends(emergency.Arrival{At: now, Trusted: true, Life: a.rules.life()})
	scopes, named := msg.Detail.Scopes, msg.Detail.Scopes != nil
	if !named {
		scopes = a.scopes(in.Alert)
	}
	if c, err = a.concerned(ctx, in.Alert, scopes, named && len(in.Alert.Areas) == 0); err != nil {
		return v, c, msg, f, err
	}
	msg.Detail.Scopes = c.scopes
	f = a.rules.facts(in.Source)
	f.Concerned, f.Expired = len(msg.Detail.Scopes) > 0, !now.Before(msg.Ends)
	a.hold(ctx, &msg)
	f.Held = !msg.Held.IsZero()
	v = Verdict{ID: msg.ID, Cuts: in.Cuts, Reaches: a.reaches(c.controllers), doubt: emergency.Doubt(msg.Signature, f)}
	v.Preview = a.preview(msg, in)
	if len(c.controllers) == 0 && len(c.scopes) > 0 {
		v.Doubts = []Doubt{noReceivers(c.scopes[0])}
	}
	return v, c, msg, f, nil
}

// weigh returns what [alerts.take] would decide, and does nothing.
func (a *alerts) weigh(ctx context.Context, in incoming) (Verdict, error) {
	v, c, msg, f, err := a.gather(ctx, in)
	if err != nil {
		return v, err
	}
	if err := v.Preview.look(a.base, c.controllers); err != nil {
		return v, err
	}
	msg, err = a.store.WeighAlert(ctx, msg, f)
	if errors.Is(err, store.ErrConflict) {
		return a.duplicate(ctx, v)
	}
	return v.of(msg), err
}

// Desk is how an operator hands a message in.
type Desk struct {
	Dry    bool // it is only weighed
	Anyway bool // in spite of [Verdict.Doubts]
}

// takeAtDesk takes in what an operator wrote or has as a file.
func (a *alerts) takeAtDesk(ctx context.Context, in incoming, d Desk) (Verdict, error) {
	if d.Dry {
		return a.weigh(ctx, in)
	}
	in.Agree = !d.Anyway
	return a.take(ctx, in)
}

// agreed returns an error if there are doubts about a message that would sound.
func (a *alerts) agreed(ctx context.Context, v Verdict, msg store.Alert, f emergency.Facts) error {
	if len(v.Doubts) == 0 {
		return nil
	}
	if msg, err := a.store.WeighAlert(ctx, msg, f); err != nil || msg.State.Over() {
		return nil
	}
	return invalid("county.alert_doubtful", say.Word("county.doubt_", string(v.Doubts[0])))
}

// duplicate is the verdict about a message that has come before.
func (a *alerts) duplicate(ctx context.Context, v Verdict) (Verdict, error) {
	known, err := a.store.Alert(ctx, v.ID)
	v.Duplicate = true
	return v.of(known), err
}

// of is the verdict with what was decided.
func (v Verdict) of(a store.Alert) Verdict {
	v.State, v.Why, v.Scopes, v.Held, v.Second = a.State, a.Why, a.Detail.Scopes, a.Held, a.Detail.Second
	if a.State.Over() {
		v.Doubts = nil
	}
	return v
}

// mostScopes is to how many scopes an alert is issued at the most, before it goes to
// the whole county.
const mostScopes = 64

// scopes lists the scopes of this county that an alert's areas name; none if it
// is for other places. If it names shapes alone, it goes to every controller,
// which decides by its position.
func (b base) scopes(a emergency.Alert) []playlist.Scope {
	if len(a.Areas) == 0 {
		return []playlist.Scope{playlist.AreaScope(b.area)}
	}
	var all []playlist.Scope
	for _, area := range a.Areas {
		switch {
		case b.area.Within(area): // the county, or more than it
			return []playlist.Scope{playlist.AreaScope(b.area)}
		case area.Within(b.area):
			all = append(all, playlist.AreaScope(area))
		}
	}
	if len(all) == 0 && len(a.Shapes) > 0 {
		return []playlist.Scope{playlist.AreaScope(b.area)}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > mostScopes { // each costs a document; the controllers know by the areas which of them it is for
		return []playlist.Scope{playlist.AreaScope(b.area)}
	}
	// A scope below another one is part of it.
	return slices.DeleteFunc(slices.Clone(all), func(s playlist.Scope) bool {
		own, _ := s.Area()
		return slices.ContainsFunc(all, func(o playlist.Scope) bool {
			other, _ := o.Area()
			return o != s && own.Within(other)
		})
	})
}

// concerned lists the controllers that an alert is for, with those of their
// outputs that it means, and the targets that they make. Unless the alert is for
// those scopes alone (named), a controller that follows none of them, because its program is old
// or it has too many areas, gets the alert by a scope of its own.
func (a *alerts) concerned(ctx context.Context, msg emergency.Alert, scopes []playlist.Scope, named bool) (c concern, err error) {
	c.scopes = scopes
	if len(scopes) == 0 {
		return c, nil
	}
	active, err := a.fleet.active(ctx)
	for _, k := range active {
		if !slices.ContainsFunc(k.Places(), msg.MayBeFor) {
			continue
		}
		if !slices.ContainsFunc(scopes, follower(k).FollowsAlerts) {
			if named {
				continue
			}
			c.scopes = append(c.scopes[:len(c.scopes):len(c.scopes)], playlist.ControllerScope(k.ID))
		}
		k.Outputs = slices.DeleteFunc(slices.Clone(k.Outputs), func(o store.Output) bool { return o.Gone || !msg.MayBeFor(k.PlaceOf(o)) })
		c.controllers = append(c.controllers, k)
		c.targets = append(c.targets, store.Target{Controller: k.ID, Online: a.online(k)})
	}
	if len(c.scopes) > len(scopes) && len(c.scopes) > mostScopes {
		c.scopes = []playlist.Scope{playlist.AreaScope(a.area)}
	}
	return c, err
}

// concern is whom an alert is for.
type concern struct {
	scopes      []playlist.Scope
	controllers []store.Controller // with the outputs that are meant
	targets     []store.Target
}

// adopt takes in alerts that controllers hold in force and this county has
// lost.
func (a *alerts) adopt(ctx context.Context, s link.AlertsState) error {
	for _, f := range s.Alerts {
		if !a.now().Before(f.Alert.NotAfter) {
			continue
		}
		msg := store.Alert{
			Alert: f.Alert, Received: f.Received, Source: FromLink, State: emergency.StateWaiting, Ends: f.Alert.NotAfter,
			Detail: store.AlertDetail{Scopes: []playlist.Scope{s.Scope}, Clip: f.Clip},
		}
		if f.Clip != nil {
			_, _, err := a.store.Clip(ctx, f.Clip.ID)
			switch {
			case err == nil:
			case len(f.Inline) > 0:
				if err := a.store.AddClip(ctx, *f.Clip, bytes.NewReader(f.Inline)); err != nil {
					return err
				}
			default:
				msg.Detail.Clip = nil
			}
		}
		_, _, err := a.store.AddAlert(ctx, msg, emergency.Facts{Vouched: true, Concerned: true, Drills: true}, nil)
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return nil
}

// parseWithin bounds the time that one message may take. Reading the largest takes less
// than a second.
const parseWithin = 30 * time.Second

// parse reads a message that came now. It goes on if the sender has hung up, because
// some do so once they have sent a message.
func (a *alerts) parse(ctx context.Context, raw []byte) (alert.Message, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), parseWithin)
	defer cancel()
	opts := a.rules.Trust
	opts.Now = a.now()
	return alert.Parse(ctx, raw, opts)
}

// takeCAP takes a CAP message in.
func (a *alerts) takeCAP(ctx context.Context, raw []byte, source string) (Verdict, error) {
	m, err := a.parse(ctx, raw)
	if err != nil {
		return Verdict{}, err
	}
	if m.Kind != alert.KindAlert {
		return Verdict{}, notAnAlert(m)
	}
	return a.takeMessage(ctx, m, source)
}

func (a *alerts) takeMessage(ctx context.Context, m alert.Message, source string) (Verdict, error) {
	return a.take(ctx, incomingOf(m, source))
}

// takeFile takes a CAP or EBD message that an operator has as a file.
func (a *alerts) takeFile(ctx context.Context, raw []byte, d Desk) (Verdict, error) {
	m, err := a.parse(ctx, raw)
	if err != nil {
		return Verdict{}, err
	}
	if m.Kind != alert.KindAlert && m.Kind != alert.KindEBM {
		return Verdict{}, notAnAlert(m)
	}
	in := incomingOf(m, FromHand)
	if d.Dry {
		in.Sound, err = a.sounds.prove(ctx, m.Alert, FromHand)
		if err != nil {
			return Verdict{}, err
		}
	}
	return a.takeAtDesk(ctx, in, d)
}

func notAnAlert(m alert.Message) error { return invalid("county.not_an_alert", string(m.Kind)) }
