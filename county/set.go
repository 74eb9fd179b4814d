package county

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Shortfall says that an alert in force is not in the order of one of its scopes,
// or is there otherwise than it came.
type Shortfall struct {
	Scope  playlist.Scope `json:"scope"`
	Why    string         `json:"why"` // a key of playlist/say
	Unsent bool           `json:"unsent"`
}

// The reasons of a shortfall.
const (
	unsentRank   = "county.unsent_rank"
	unsentRoom   = "county.unsent_room"
	unsentFaulty = "county.unsent_faulty"
	unsentUsedUp = "county.unsent_used_up"
	sentClipless = "county.sent_clipless"
	sentSimpler  = "county.sent_simpler"
)

// set is what the order of a scope is to say of the alerts in force there.
type set struct {
	of     string // the alerts that it was made of
	seal   int    // its number among those that were issued, or should have been; 0: it is none of them
	sum    string // tells apart two sets that say something else
	alerts []link.AlertInForce
	ends   []time.Time // of each of them
	usedUp bool        // there is no version for an order that says it
	short  map[playlist.AlertID]Shortfall
}

// belongs returns what the order of a scope is to say, if those alerts are in
// force. It is made again only if one of them has changed. seen is what
// [orders.seen] returned before the alerts were read: what was issued since was
// made of later ones.
func (o *orders) belongs(scope playlist.Scope, inForce []store.Alert, seen int) set {
	o.packing.Lock()
	defer o.packing.Unlock()
	all := inScope(scope, inForce)
	known, ok := o.sets[scope]
	if ok && (known.of == made(all) || known.seal > seen) {
		return known
	}
	return o.keep(scope, all, o.pack(scope, all, link.Room()))
}

// seen counts the sets that were issued, or should have been.
func (o *orders) seen() int {
	o.packing.Lock()
	defer o.packing.Unlock()
	return o.seals
}

// inScope lists the alerts, among those in force, that are for a scope.
func inScope(scope playlist.Scope, inForce []store.Alert) (all []store.Alert) {
	for _, a := range inForce {
		if slices.Contains(a.Detail.Scopes, scope) {
			all = append(all, a)
		}
	}
	return all
}

// made tells apart lists of alerts that a set can be made of.
func made(all []store.Alert) string {
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "%q %d %d %d %s", a.ID, a.Received.UnixMicro(), a.Changed.UnixMicro(), a.Ends.UnixMicro(), a.Source)
		if a.Detail.Clip != nil {
			b.WriteString(string(a.Detail.Clip.ID))
		}
	}
	return b.String()
}

// keep remembers the set of a scope, and logs which alerts fall short that did not
// before.
func (o *orders) keep(scope playlist.Scope, all []store.Alert, s set) set {
	before := o.sets[scope].short
	if s.usedUp = o.usedUp[scope]; s.usedUp {
		for _, a := range all {
			s.short[a.ID] = Shortfall{scope, unsentUsedUp, true}
		}
	}
	for _, a := range all {
		short, ok := s.short[a.ID]
		if !ok || before[a.ID] == short {
			continue
		}
		log := o.log.With("alert", a.ID, "scope", scope, "why", say.M(short.Why))
		if short.Unsent {
			log.Error("alert in force is not sent to a scope")
		} else {
			log.Warn("alert is sent otherwise than it came")
		}
	}
	s.of = made(all)
	if len(all) == 0 {
		delete(o.sets, scope)
	} else {
		o.sets[scope] = s
	}
	return s
}

// shortfalls lists where an alert in force is not sent, or otherwise than it came.
func (o *orders) shortfalls(id playlist.AlertID) (all []Shortfall) {
	o.packing.Lock()
	defer o.packing.Unlock()
	for _, s := range o.sets {
		if short, ok := s.short[id]; ok {
			all = append(all, short)
		}
	}
	slices.SortFunc(all, func(a, b Shortfall) int { return cmp.Compare(a.Scope, b.Scope) })
	return all
}

// unsent counts the alerts in force that are not sent to each of their scopes.
func (o *orders) unsent() int {
	o.packing.Lock()
	defer o.packing.Unlock()
	ids := map[playlist.AlertID]bool{}
	for _, s := range o.sets {
		for id, short := range s.short {
			if short.Unsent {
				ids[id] = true
			}
		}
	}
	return len(ids)
}

// candidate is an alert that is to be in an order.
type candidate struct {
	a     store.Alert
	of    string            // see [made]
	whole link.AlertInForce // without the bytes of its clip
	takes link.Weight       // in the form that it has by now
}

// version is an alert as it is simplified by some steps; below zero: with the bytes
// of its clip.
type version struct {
	of   string
	step int
}

const withInline = -1

// weighed is what an alert takes in a form.
type weighed struct {
	link.Weight
	err error
}

// mostWeighed is how many forms are remembered with what they take.
const mostWeighed = 4096

// weigh returns what an alert takes in a form. That is found out once.
func (o *orders) weigh(f version, alert func() link.AlertInForce) (link.Weight, error) {
	w, ok := o.weights[f]
	if !ok {
		w.Weight, w.err = alert().Weigh()
		if len(o.weights) >= mostWeighed {
			clear(o.weights)
		}
		o.weights[f] = w
	}
	return w.Weight, w.err
}

// pack chooses among the alerts of a scope those for which there is room, the
// highest level first. None of them can keep another one out that goes before it:
// each gets the room that it needs in its simplest form, and then, the highest
// first, as much as is left.
func (o *orders) pack(scope playlist.Scope, all []store.Alert, room link.Weight) set {
	s := set{short: map[playlist.AlertID]Shortfall{}}
	var in []candidate
	seen := map[playlist.AlertID]bool{}
	for _, a := range slices.SortedFunc(slices.Values(all), foremost) {
		whole, wrong, ok := stated(a).Mended()
		of := made([]store.Alert{a})
		takes, err := o.weigh(version{of, emergency.Steps}, func() link.AlertInForce { return simplified(whole, emergency.Steps) })
		unsent := ""
		switch {
		case !ok || err != nil || seen[a.ID]:
			unsent = unsentFaulty
			o.log.Debug("alert cannot be sent", "alert", a.ID, "err", errors.Join(wrong, err))
		case len(in) == link.MaxAlerts:
			unsent = unsentRank
		case !takes.Fits(room):
			unsent = unsentRoom
		}
		seen[a.ID] = true
		if unsent != "" {
			s.short[a.ID] = Shortfall{scope, unsent, true}
			continue
		}
		if wrong != nil {
			s.short[a.ID] = Shortfall{scope, sentClipless, false}
		}
		room = room.Less(takes)
		in = append(in, candidate{a, of, whole, takes})
	}
	inline := link.MaxInlineTotal
	sent := map[playlist.AlertID]link.AlertInForce{}
	for _, c := range in {
		room = room.Plus(c.takes)
		f, takes, step := o.fullest(c, room, inline)
		room, inline = room.Less(takes), inline-len(f.Inline)
		sent[c.a.ID] = f
		if step > 0 {
			s.short[c.a.ID] = Shortfall{scope, sentSimpler, false}
		}
	}
	// They stand there as they were received: so they do in the orders of a replica
	// whose program is one version back.
	for _, a := range all {
		if f, ok := sent[a.ID]; ok {
			delete(sent, a.ID)
			s.alerts, s.ends = append(s.alerts, f), append(s.ends, a.Ends)
		}
	}
	s.sum = sumOf(s.alerts)
	return s
}

// sumOf tells apart orders that say something else.
func sumOf(alerts []link.AlertInForce) string {
	h := sha256.New()
	for _, f := range alerts {
		_ = json.NewEncoder(h).Encode(f) // it was written before
	}
	return hex.EncodeToString(h.Sum(nil))
}

func foremost(a, b store.Alert) int {
	return a.Precedence(a.Detail.Rank, a.Received).Compare(b.Precedence(b.Detail.Rank, b.Received))
}

// fullest returns the fullest form of an alert for which there is room, what room
// that takes, and by how many steps it is simplified.
func (o *orders) fullest(c candidate, room link.Weight, inline int) (f link.AlertInForce, takes link.Weight, step int) {
	if clip := c.whole.Clip; clip != nil && clip.Size <= int64(min(link.MaxInline, inline)) {
		with := c.whole
		with.Inline = o.inline(c.a.ID, *clip)
		with, _, _ = with.Mended()
		if n := len(with.Inline); n > 0 && n <= inline {
			takes, err := o.weigh(version{c.of, withInline}, func() link.AlertInForce { return with })
			if err == nil && takes.Fits(room) {
				return with, takes, 0
			}
		}
	}
	for step = range emergency.Steps {
		takes, err := o.weigh(version{c.of, step}, func() link.AlertInForce { return simplified(c.whole, step) })
		if err == nil && takes.Fits(room) {
			return simplified(c.whole, step), takes, step
		}
	}
	return simplified(c.whole, emergency.Steps), c.takes, emergency.Steps
}

// simplified is an alert with as much left out as a step of [emergency.Alert.Simplified]
// says; 0: nothing.
func simplified(f link.AlertInForce, step int) link.AlertInForce {
	if step == 0 {
		return f
	}
	f.Alert = f.Alert.Simplified(step)
	if f.Clip != nil {
		c := playlist.Clip{ID: f.Clip.ID, Frames: f.Clip.Frames, Size: f.Clip.Size}
		if c.Title = f.Clip.Title; len(c.Title) > emergency.MaxName {
			c.Title = f.Alert.Event
		}
		f.Clip = &c
	}
	return f
}

// stated is an alert as an order states it, without the bytes of its clip.
func stated(a store.Alert) link.AlertInForce {
	f := link.AlertInForce{Alert: a.Alert, Received: a.Received, Order: a.Detail.Clip == nil}
	if f.Alert.NotAfter.IsZero() || !a.Ends.IsZero() && a.Ends.Before(f.Alert.NotAfter) {
		f.Alert.NotAfter = a.Ends // by the rules of the county, not of each controller
	}
	if a.Detail.Clip != nil {
		clip := *a.Detail.Clip
		clip.Text = ""
		f.Clip = &clip
	}
	return f
}

// inline is the bytes of an alert's clip; none if they are not here: a controller
// that lacks them fetches them.
func (o *orders) inline(id playlist.AlertID, clip playlist.Clip) []byte {
	raw, err := o.bytesOf(clip.ID)
	switch {
	case errors.Is(err, store.ErrNotFound): // another replica has it
		o.log.Warn("clip of alert is not here", "alert", id, "clip", clip.ID)
	case err != nil:
		o.log.Error("clip of alert cannot be read", "alert", id, "clip", clip.ID, "err", err)
	}
	if err != nil || len(raw) > link.MaxInline {
		return nil
	}
	return raw
}

// mostSeals is how often a document of alerts is sealed at the most until it fits.
const mostSeals = 4

// seal makes the document of a scope's alerts. What is left out of it or
// simplified, the set says.
func (o *orders) seal(ctx context.Context, scope playlist.Scope, version int64, all []store.Alert, unless func(set) bool) (s set, env link.Envelope, err error) {
	o.packing.Lock()
	defer o.packing.Unlock()
	delete(o.usedUp, scope)
	room := link.Room()
	for range mostSeals {
		if s = o.pack(scope, all, room); unless(s) {
			err = errUnchanged
			break
		}
		state := link.AlertsState{Scope: scope, Version: version, Issued: o.now(), Alerts: slices.Clone(s.alerts)}
		o.fit(ctx, scope, state.Alerts)
		if env, err = link.SealAlerts(state, o.key); !errors.Is(err, link.ErrOversized) {
			break
		}
		o.log.Error("the order of a scope is too large; it is simplified", "scope", scope, "err", err)
		room = link.Weight{Text: room.Text / 2, Packed: room.Packed / 2}
	}
	if err == nil || errors.Is(err, errUnchanged) {
		o.seals++
		s.seal = o.seals
		s = o.keep(scope, all, s)
	}
	return s, env, err
}

// cannot notes that the versions of a scope are used up, and returns what its order
// would say. It is so until one is sealed again.
func (o *orders) cannot(scope playlist.Scope, inForce []store.Alert) set {
	o.packing.Lock()
	defer o.packing.Unlock()
	o.usedUp[scope] = true
	all := inScope(scope, inForce)
	s := o.pack(scope, all, link.Room())
	o.seals++
	s.seal = o.seals
	return o.keep(scope, all, s)
}

// errUnchanged says that the latest order of a scope says what it should.
var errUnchanged = errors.New("nothing new to say")
