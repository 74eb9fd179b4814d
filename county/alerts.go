package county

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalaba/alert"
	"dalaba/county/store"
	"dalaba/ingest"
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
	FromHand = "hand"
	FromLink = store.FromLink
)

// AlertRules say whose messages a county passes on.
type AlertRules struct {
	Trust    alert.Options // whom to believe
	Unsigned []string      // ways by which a message may come without a signature
	Life     time.Duration // of one that names no end; default an hour
	Drills   bool          // drills are passed on
	Feeds    []Feed
}

func (r AlertRules) life() time.Duration { return cmp.Or(r.Life, playlist.DefaultAlertLife) }

// facts are what the rules say of a message that came by source.
func (r AlertRules) facts(source string) emergency.Facts {
	return emergency.Facts{
		Vouched:  source == FromHand || source == FromLink,
		Unsigned: slices.Contains(r.Unsigned, source),
		Drills:   r.Drills,
	}
}

// audioWait is how long the sound of an alert may take to be fetched and made
// fit to air before its text is spoken instead.
const audioWait = 2 * time.Minute

// Verdict is what became of a message at the county's door.
type Verdict struct {
	ID        playlist.AlertID `json:"id"`
	State     emergency.State  `json:"state"`
	Why       string           `json:"why,omitempty"`
	Duplicate bool             `json:"duplicate,omitempty"`
	Scopes    []playlist.Scope `json:"scopes,omitempty"`
	Reaches   Reaches          `json:"reaches"`
}

// Incoming is a message on its way in.
type Incoming struct {
	Alert  emergency.Alert
	Raw    []byte
	Source string // FromEBD, ...
	Silent bool   // what it is never sounds
	Detail store.AlertDetail
}

// Take decides on a message, keeps it, and where it is to sound sends the order
// out ahead of its sound. When it returns the message is on the disk and has
// been said, though whoever handed it in has gone meanwhile.
func (c *County) Take(ctx context.Context, in Incoming) (Verdict, error) {
	ctx = context.WithoutCancel(ctx)
	v, targets, a, facts, err := c.triage(ctx, in)
	if err != nil {
		return v, err
	}
	a, ended, err := c.Store.AddAlert(ctx, a, facts, targets)
	if errors.Is(err, store.ErrConflict) {
		return c.duplicate(ctx, v)
	}
	if err != nil {
		return v, err
	}
	v = v.of(a)
	c.Log.Warn("emergency message", "alert", a.ID, "source", a.Source, "kind", a.Kind, "class", a.Class, "level", a.Level, "state", a.State, "why", a.Why)
	// The order comes first, then what it ended; no scope waits for another that
	// fails.
	var scopes []playlist.Scope
	if !a.State.Over() {
		scopes = slices.Clone(a.Detail.Scopes)
	}
	for _, old := range ended {
		scopes = append(scopes, old.Detail.Scopes...)
	}
	said := map[playlist.Scope]bool{}
	for _, s := range scopes {
		if !said[s] {
			said[s] = true
			err = errors.Join(err, c.issueAlerts(ctx, s))
		}
	}
	for _, old := range ended {
		c.orders.stop(old.ID)
		c.tell(ctx, old.ID)
	}
	if !a.State.Over() {
		c.work.Go(func() { c.sound(ctx, a) })
	}
	return v, err
}

// triage gathers the facts for the decision about a message, but for those that
// the store knows: its counter, and what has ended it.
func (c *County) triage(ctx context.Context, in Incoming) (v Verdict, targets []store.Target, a store.Alert, f emergency.Facts, err error) {
	now := c.now()
	a = store.Alert{Alert: in.Alert, Received: now, Source: in.Source, Raw: in.Raw, Detail: in.Detail}
	a.Silent = a.Silent || in.Silent
	a.Ends = a.Alert.Ends(now, c.Alerts.life())
	if a.Detail.Scopes == nil {
		a.Detail.Scopes = c.scopes(in.Alert)
	}
	fleet, targets, err := c.concerned(ctx, in.Alert, a.Detail.Scopes)
	if err != nil {
		return v, nil, a, f, err
	}
	f = c.Alerts.facts(in.Source)
	f.Concerned, f.Expired = len(a.Detail.Scopes) > 0, !now.Before(a.Ends)
	return Verdict{ID: a.ID, Reaches: c.reaches(fleet)}, targets, a, f, nil
}

// Weigh returns what [County.Take] would decide, and does nothing.
func (c *County) Weigh(ctx context.Context, in Incoming) (Verdict, error) {
	v, _, a, f, err := c.triage(ctx, in)
	if err != nil {
		return v, err
	}
	a, err = c.Store.WeighAlert(ctx, a, f)
	if errors.Is(err, store.ErrConflict) {
		return c.duplicate(ctx, v)
	}
	return v.of(a), err
}

// duplicate is the verdict about a message that has come before.
func (c *County) duplicate(ctx context.Context, v Verdict) (Verdict, error) {
	known, err := c.Store.Alert(ctx, v.ID)
	v.Duplicate = true
	return v.of(known), err
}

// of is the verdict with what was decided.
func (v Verdict) of(a store.Alert) Verdict {
	v.State, v.Why, v.Scopes = a.State, a.Why, a.Detail.Scopes
	return v
}

// scopes are the scopes of this county that an alert's areas name; none where
// it is for other places. Where only shapes name it, every controller is asked
// to look.
func (c *County) scopes(a emergency.Alert) []playlist.Scope {
	if len(a.Areas) == 0 {
		return []playlist.Scope{playlist.AreaScope(c.Area)}
	}
	var all []playlist.Scope
	for _, area := range a.Areas {
		switch {
		case c.Area.Within(area): // the county, or more than it
			return []playlist.Scope{playlist.AreaScope(c.Area)}
		case area.Within(c.Area):
			all = append(all, playlist.AreaScope(area))
		}
	}
	if len(all) == 0 && len(a.Shapes) > 0 {
		return []playlist.Scope{playlist.AreaScope(c.Area)}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	// What lies below another is held by it.
	return slices.DeleteFunc(slices.Clone(all), func(s playlist.Scope) bool {
		own, _ := s.Area()
		return slices.ContainsFunc(all, func(o playlist.Scope) bool {
			other, _ := o.Area()
			return o != s && own.Within(other)
		})
	})
}

// concerned are the controllers that an alert is for. An output counts where
// its own area is meant.
func (c *County) concerned(ctx context.Context, a emergency.Alert, scopes []playlist.Scope) (fleet []store.Controller, targets []store.Target, err error) {
	all, err := c.Store.Fleet(ctx, store.FleetQuery{State: store.Active})
	for _, k := range all {
		f := k.Follower()
		if !slices.ContainsFunc(scopes, f.Follows) {
			continue
		}
		k.Outputs = slices.DeleteFunc(slices.Clone(k.Outputs), func(o store.Output) bool { return o.Gone || !a.MayConcern(o.Area) })
		fleet = append(fleet, k)
		targets = append(targets, store.Target{Controller: k.ID, Online: c.Online(k)})
	}
	return fleet, targets, err
}

// sound makes an alert's air clip: of the sound that came with it, else of its
// text. Until then its order alone is in force.
func (c *County) sound(ctx context.Context, a store.Alert) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.orders.Lock()
	if c.orders.making == nil {
		c.orders.making, c.orders.tried = map[playlist.AlertID]context.CancelFunc{}, map[playlist.AlertID]bool{}
	}
	c.orders.making[a.ID], c.orders.tried[a.ID] = cancel, true
	c.orders.Unlock()
	defer func() {
		c.orders.Lock()
		delete(c.orders.making, a.ID)
		c.orders.Unlock()
	}()
	if c.Ingest == nil || a.Detail.Clip != nil {
		return
	}
	var why []string
	for _, audio := range a.Audio {
		if len(audio.Data) == 0 || audio.Matched == alert.OfNone {
			why = append(why, audio.Name+": no usable sound came with it")
			continue
		}
		bounded, done := context.WithTimeout(ctx, audioWait)
		clip, err := c.clips().Convert(bounded, a.Alert, audio)
		done()
		if err == nil {
			c.attach(ctx, a, clip, false)
			return
		}
		why = append(why, audio.Name+": "+err.Error())
	}
	if words := a.Spoken("zh-CN"); words != "" {
		text, _ := a.Text("zh-CN")
		clip, err := c.clips().Speak(ctx, words, text.Language, a.Headline())
		if err == nil {
			a.Detail.NoClip = strings.Join(why, "; ")
			c.attach(ctx, a, clip, true)
			return
		}
		why = append(why, "speech: "+err.Error())
	}
	if ctx.Err() != nil {
		return
	}
	// The controllers have the words and speak them themselves, or sound what
	// they keep for such events.
	noClip := strings.Join(why, "; ")
	c.Log.Error("alert has no clip; controllers speak it themselves", "alert", a.ID, "why", noClip)
	_, err := c.Store.ChangeAlert(ctx, a.ID, func(now *store.Alert) bool {
		now.Detail.NoClip = noClip
		return now.Detail.Clip == nil // else another replica could make it
	})
	if err != nil {
		c.Log.Error("alert could not be kept", "alert", a.ID, "err", err)
	}
}

// attach gives an alert its clip, unless it is over or has one: another
// replica may have been at it too.
func (c *County) attach(ctx context.Context, a store.Alert, clip playlist.Clip, spoken bool) {
	changed, err := c.Store.ChangeAlert(ctx, a.ID, func(now *store.Alert) bool {
		if now.State.Over() || now.Detail.Clip != nil {
			return false
		}
		now.Detail.Clip, now.Detail.Spoken, now.Detail.NoClip = &clip, spoken, a.Detail.NoClip
		return true
	})
	if changed {
		for _, s := range a.Detail.Scopes {
			err = errors.Join(err, c.issueAlerts(ctx, s))
		}
	}
	if err != nil {
		c.Log.Error("clip of alert could not be issued", "alert", a.ID, "clip", clip.ID, "err", err)
	}
}

// clips makes the clips of alerts.
func (c *County) clips() ingest.AlertClips {
	return ingest.AlertClips{Ingester: c.Ingest, Shelve: c.Store.AddClip}
}

// resume takes up again what was in force when the county ended.
func (c *County) resume(ctx context.Context) error {
	inForce, err := c.Store.AlertsInForce(ctx)
	if err != nil {
		return err
	}
	scopes := map[playlist.Scope]bool{}
	for _, a := range inForce {
		for _, s := range a.Detail.Scopes {
			scopes[s] = true
		}
	}
	for s := range scopes {
		err = errors.Join(err, c.issueAlerts(ctx, s))
	}
	for _, a := range inForce {
		if a.Detail.Clip != nil {
			continue
		}
		c.work.Go(func() { c.sound(ctx, withSound(a)) })
	}
	return err
}

// withSound is an alert with the sound that came with it, which is not kept
// with the message, but in what came.
func withSound(a store.Alert) store.Alert {
	if a.Source == FromHand {
		var h ByHand
		if err := json.Unmarshal(a.Raw, &h); err == nil {
			a.Audio = h.sound()
		}
	} else if m, err := alert.Parse(a.Raw, alert.Options{}); err == nil {
		a.Audio = m.Alert.Audio
	}
	return a
}

// adopt takes in alerts that controllers hold in force and this county has
// lost.
func (c *County) adopt(ctx context.Context, s link.AlertsState) error {
	for _, f := range s.Alerts {
		if !c.now().Before(f.Alert.NotAfter) {
			continue
		}
		a := store.Alert{
			Alert: f.Alert, Received: f.Received, Source: FromLink, State: emergency.StateWaiting, Ends: f.Alert.NotAfter,
			Detail: store.AlertDetail{Scopes: []playlist.Scope{s.Scope}, Clip: f.Clip},
		}
		if f.Clip != nil {
			_, _, err := c.Store.Clip(ctx, f.Clip.ID)
			switch {
			case err == nil:
			case len(f.Inline) > 0:
				if err := c.Store.AddClip(ctx, *f.Clip, bytes.NewReader(f.Inline)); err != nil {
					return err
				}
			default:
				a.Detail.Clip = nil
			}
		}
		if _, _, err := c.Store.AddAlert(ctx, a, emergency.Facts{Vouched: true, Concerned: true, Drills: true}, nil); err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return nil
}

// ByHand is an alert that an operator writes.
type ByHand struct {
	Text      string           `json:"text"`
	Title     string           `json:"title,omitempty"`
	Event     string           `json:"event,omitempty"`
	Class     emergency.Class  `json:"class,omitempty"` // default emergency
	Level     emergency.Level  `json:"level"`
	Scopes    []playlist.Scope `json:"scopes"`
	Passes    int              `json:"passes,omitempty"`
	Life      time.Duration    `json:"life,omitempty"` // default the county's
	Audio     []byte           `json:"audio,omitempty"`
	AudioName string           `json:"audio_name,omitempty"`
	By        string           `json:"by,omitempty"`
}

// Incoming is the alert as a message.
func (c *County) incoming(h ByHand) (Incoming, error) {
	now := c.now()
	if strings.TrimSpace(h.Text) == "" && len(h.Audio) == 0 {
		return Incoming{}, invalid("county.alert_empty")
	}
	if h.Class == "" {
		h.Class = emergency.ClassEmergency
	}
	if h.Level < emergency.Red || h.Level > emergency.Blue {
		return Incoming{}, invalid("county.alert_level", int(h.Level))
	}
	if h.Life < 0 || h.Life > 7*24*time.Hour || h.Passes < 0 || h.Passes > 1000 {
		return Incoming{}, invalid("county.alert_bounds")
	}
	if len(h.Scopes) == 0 {
		return Incoming{}, invalid("county.alert_nobody")
	}
	var serial [6]byte
	_, _ = rand.Read(serial[:]) // it never fails
	a := emergency.Alert{
		ID: playlist.AlertID(fmt.Sprintf("hand-%s-%s", now.Format("20060102T150405Z"), hex.EncodeToString(serial[:]))), Format: "hand",
		Sender: c.Name, SenderName: cmp.Or(h.By, c.Name), Sent: now, Kind: emergency.KindRequest, Class: h.Class, Level: h.Level, Event: h.Event,
		NotBefore: now, NotAfter: now.Add(cmp.Or(h.Life, c.Alerts.life())), Passes: h.Passes,
		Signature: emergency.Signature{State: emergency.SignatureAbsent},
	}
	if strings.TrimSpace(h.Text) != "" {
		a.Texts = []emergency.Text{{Language: "zh-CN", Title: h.Title, Text: h.Text}}
	}
	a.Audio = h.sound()
	for _, s := range h.Scopes {
		if _, err := playlist.ParseScope(string(s)); err != nil {
			return Incoming{}, err
		}
		if area, ok := s.Area(); ok {
			if !area.Within(c.Area) {
				return Incoming{}, invalid("county.not_ours", string(area), string(c.Area))
			}
			a.Areas = append(a.Areas, area)
		}
	}
	if len(a.Areas) > 0 && len(a.Areas) < len(h.Scopes) {
		return Incoming{}, invalid("county.alert_mixed")
	}
	raw, err := json.Marshal(h)
	return Incoming{Alert: a, Raw: raw, Source: FromHand, Detail: store.AlertDetail{Scopes: h.Scopes}}, err
}

func (h ByHand) sound() []emergency.Audio {
	if len(h.Audio) == 0 {
		return nil
	}
	return []emergency.Audio{{Name: h.AudioName, Size: int64(len(h.Audio)), Data: h.Audio}}
}

// TakeByHand sounds an alert that an operator wrote; dry only says whom it
// would reach.
func (c *County) TakeByHand(ctx context.Context, h ByHand, dry bool) (Verdict, error) {
	in, err := c.incoming(h)
	if err != nil {
		return Verdict{}, err
	}
	if dry {
		return c.Weigh(ctx, in)
	}
	return c.Take(ctx, in)
}

// CancelByHand ends an alert.
func (c *County) CancelByHand(ctx context.Context, id playlist.AlertID) (Verdict, error) {
	ctx = context.WithoutCancel(ctx)
	a, err := c.Store.Alert(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Verdict{}, fault{store.ErrNotFound, say.M("county.no_alert", string(id))}
	}
	if err != nil {
		return Verdict{}, err
	}
	now := c.now()
	cancel := emergency.Alert{
		ID: playlist.AlertID(fmt.Sprintf("hand-%s-cancel-%s", now.Format("20060102T150405.000000Z"), a.ID)), Format: "hand", Sender: c.Name, Sent: now,
		Kind: emergency.KindCancel, Class: a.Class, Level: a.Level, Areas: a.Areas, Refs: []playlist.AlertID{id},
		Signature: emergency.Signature{State: emergency.SignatureAbsent},
	}
	return c.Take(ctx, Incoming{Alert: cancel, Source: FromHand})
}
