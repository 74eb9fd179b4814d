package county

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// orders remembers, for each scope, which alerts its latest state holds, and
// what is being made fit to air.
type orders struct {
	sync.Mutex
	held   map[playlist.Scope]orderState
	amiss  map[playlist.Scope]amiss
	making map[playlist.AlertID]context.CancelFunc
	tried  map[playlist.AlertID]bool // whose sound was made here, or could not be
	heard  map[playlist.AlertID]bool // of which rows have come since it was last looked at
	looked map[playlist.AlertID]time.Time
}

// amiss is a state that does not hold what is in force, and when that is to be
// mended.
type amiss struct {
	version int64
	at      time.Time
}

const (
	// tellEvery is how often the figures of an alert are reported at the most.
	tellEvery = 5 * time.Second

	// lookEvery is how often an alert is looked at of which no row comes to this
	// process: others may have come to one that died over them.
	lookEvery = time.Minute

	// soundAgain is how long after an alert came its sound is made here too:
	// whoever took the alert in has it by then, or has died over it.
	soundAgain = audioWait + 30*time.Second

	// mendAfter is how long what is in force and what was said of it may differ,
	// as they do while somebody says it, and mendAgain when it is tried again.
	mendAfter = 3 * time.Second
	mendAgain = 30 * time.Second
)

// settleEvery is how often [County.Run] moves alerts on.
var settleEvery = time.Second

// look has an alert looked at once more.
func (o *orders) look(id playlist.AlertID) {
	o.Lock()
	defer o.Unlock()
	if o.heard == nil {
		o.heard = map[playlist.AlertID]bool{}
	}
	o.heard[id] = true
}

type orderState struct {
	version int64
	raw     []byte
	ids     []playlist.AlertID
	clips   []playlist.ClipID // of each of them; empty: none yet
	until   time.Time
}

// says reports whether the state is what would be said of alerts now.
func (h orderState) says(alerts []store.Alert) bool {
	return slices.EqualFunc(alerts, h.ids, func(a store.Alert, id playlist.AlertID) bool { return a.ID == id }) &&
		slices.EqualFunc(alerts, h.clips, func(a store.Alert, id playlist.ClipID) bool {
			return a.Detail.Clip == nil && id == "" || a.Detail.Clip != nil && a.Detail.Clip.ID == id
		})
}

func (h *orderState) add(id playlist.AlertID, clip *playlist.Clip) {
	h.ids = append(h.ids, id)
	var of playlist.ClipID
	if clip != nil {
		of = clip.ID
	}
	h.clips = append(h.clips, of)
}

func (h *orderState) lasts(ends time.Time) {
	if ends.After(h.until) {
		h.until = ends
	}
}

func (o *orders) stop(id playlist.AlertID) {
	o.Lock()
	defer o.Unlock()
	if cancel := o.making[id]; cancel != nil {
		cancel()
	}
}

// of are the alerts among those in force that the state of a scope holds.
func of(scope playlist.Scope, inForce []store.Alert) (all []store.Alert) {
	for _, a := range inForce {
		if slices.Contains(a.Detail.Scopes, scope) && len(all) < link.MaxAlerts {
			all = append(all, a)
		}
	}
	return all
}

// issueAlerts says what is in force for a scope.
func (c *County) issueAlerts(ctx context.Context, scope playlist.Scope) error {
	var held orderState
	e, err := c.issue(ctx, link.KindAlerts, scope, func(v int64) (link.Envelope, string, error) {
		inForce, err := c.Store.AlertsInForce(ctx)
		if err != nil {
			return link.Envelope{}, "", err
		}
		held = orderState{}
		state := link.AlertsState{Scope: scope, Version: v, Issued: c.now(), Alerts: []link.AlertInForce{}}
		inline := 0
		for _, a := range of(scope, inForce) {
			f := link.AlertInForce{Alert: a.Alert, Received: a.Received, Clip: a.Detail.Clip, Order: a.Detail.Clip == nil}
			if f.Alert.NotAfter.IsZero() {
				f.Alert.NotAfter = a.Ends // the county's policy, not each controller's
			}
			if f.Clip != nil {
				clip := *f.Clip
				clip.Text = ""
				f.Clip = &clip
				if clip.Size <= link.MaxInline && inline+int(clip.Size) <= link.MaxInlineTotal {
					f.Inline, err = c.bytesOf(clip.ID)
					if errors.Is(err, store.ErrNotFound) { // it lies with another replica; whoever lacks it fetches it
						c.Log.Warn("clip of alert is not here", "alert", a.ID, "clip", clip.ID)
					} else if err != nil {
						return link.Envelope{}, "", err
					}
					inline += len(f.Inline)
				}
			}
			held.add(a.ID, f.Clip)
			held.lasts(a.Ends)
			state.Alerts = append(state.Alerts, f)
		}
		env, err := link.SealAlerts(state, c.Keys.Alert)
		return env, strings.Join(ids(held.ids), " "), err
	})
	if err != nil {
		return err
	}
	held.version, held.raw = e.Version, e.Bytes
	c.orders.hold(scope, held)
	return nil
}

// hold puts a state in the place of an earlier one. Where all was cancelled it
// is said until what was would have been over.
func (o *orders) hold(scope playlist.Scope, h orderState) {
	o.Lock()
	defer o.Unlock()
	before := o.held[scope]
	if before.version >= h.version {
		return
	}
	if h.until.IsZero() {
		h.until = before.until
	}
	if o.held == nil {
		o.held = map[playlist.Scope]orderState{}
	}
	o.held[scope] = h
}

// overtake takes notice of what other replicas have said, so that it is
// repeated should they end, and says anew what was not: whoever changed what
// is in force may have died before he said so.
func (c *County) overtake(ctx context.Context, inForce []store.Alert) error {
	held := c.orders.states(c.now())
	for _, a := range inForce {
		for _, scope := range a.Detail.Scopes {
			if _, ok := held[scope]; !ok {
				held[scope] = orderState{}
			}
		}
	}
	if len(held) == 0 {
		return nil
	}
	latest, err := c.Store.InForce(ctx, slices.Collect(maps.Keys(held)))
	if err != nil {
		return err
	}
	for _, e := range latest {
		if e.Kind != link.KindAlerts || e.Version <= held[e.Scope].version {
			continue
		}
		h, err := c.said(ctx, e, inForce)
		if err != nil {
			return err
		}
		held[e.Scope] = h
		c.orders.hold(e.Scope, h)
	}
	for scope, h := range held {
		if c.orders.mend(scope, h, h.says(of(scope, inForce)), c.now()) {
			c.Log.Warn("alerts in force were not said; they are now", "scope", scope, "version", h.version)
			err = errors.Join(err, c.issueAlerts(ctx, scope))
		}
	}
	return err
}

// said is what another replica said of a scope. Clips that travelled inside
// are kept: theirs may be gone with it. Where the key that signed it has lost
// its role no controller takes it: it says nothing, and what is in force is
// said anew.
func (c *County) said(ctx context.Context, e store.Envelope, inForce []store.Alert) (h orderState, err error) {
	if e, err = c.Store.Envelope(ctx, e.Kind, e.Scope, e.Version); err != nil {
		return h, err
	}
	d, err := kept(e)
	if err != nil {
		return h, err
	}
	if d.Alerts == nil {
		return h, link.ErrWrongType
	}
	t, err := c.trust(ctx)
	if err != nil {
		return h, err
	}
	_, void := link.Open(e.Bytes, t)
	h = orderState{version: e.Version, raw: e.Bytes}
	for _, f := range d.Alerts.Alerts {
		if void == nil {
			h.add(f.Alert.ID, f.Clip)
		}
		h.lasts(f.Alert.NotAfter)
		if f.Clip == nil || len(f.Inline) == 0 {
			continue
		}
		file, err := c.Store.OpenClip(f.Clip.ID)
		switch {
		case err == nil:
			err = file.Close()
		case errors.Is(err, store.ErrNotFound):
			clip := *f.Clip
			if known, _, err := c.Store.Clip(ctx, clip.ID); err == nil {
				clip = known // with its text
			}
			err = c.Store.AddClip(ctx, clip, bytes.NewReader(f.Inline))
		}
		if err != nil {
			return h, err
		}
	}
	return h, nil
}

// states are the states held, less those that need not be said any more.
func (o *orders) states(now time.Time) map[playlist.Scope]orderState {
	o.Lock()
	defer o.Unlock()
	maps.DeleteFunc(o.held, func(_ playlist.Scope, h orderState) bool { return len(h.ids) == 0 && now.After(h.until) })
	all := map[playlist.Scope]orderState{}
	maps.Copy(all, o.held)
	return all
}

// mend reports whether a state that does not say what it should is to be said
// anew. Whoever changed what is in force is given time to say so.
func (o *orders) mend(scope playlist.Scope, h orderState, right bool, now time.Time) bool {
	o.Lock()
	defer o.Unlock()
	if right {
		delete(o.amiss, scope)
		return false
	}
	if o.amiss == nil {
		o.amiss = map[playlist.Scope]amiss{}
	}
	known, ok := o.amiss[scope]
	if !ok || known.version != h.version {
		o.amiss[scope] = amiss{h.version, now.Add(mendAfter)}
		return false
	}
	if now.Before(known.at) {
		return false
	}
	o.amiss[scope] = amiss{h.version, now.Add(mendAgain)}
	return true
}

func ids(list []playlist.AlertID) []string {
	all := make([]string, len(list))
	for i, id := range list {
		all[i] = string(id)
	}
	return all
}

func (c *County) bytesOf(id playlist.ClipID) ([]byte, error) {
	f, err := c.Store.OpenClip(id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}

// Standing is what [link.Publisher] is to repeat.
func (c *County) Standing(context.Context) ([]link.Standing, error) {
	c.orders.Lock()
	defer c.orders.Unlock()
	var all []link.Standing
	for scope, h := range c.orders.held {
		all = append(all, link.Standing{Scope: scope, Version: h.version, Raw: h.raw, Until: h.until})
	}
	return all, nil
}

// alertsOf are the alerts that a sync shows its controller to have.
func (c *County) alertsOf(q link.SyncRequest) []playlist.AlertID {
	var all []playlist.AlertID
	for _, a := range q.Health.Alerts {
		all = append(all, a.ID)
	}
	c.orders.Lock()
	defer c.orders.Unlock()
	for _, h := range q.Have {
		if held := c.orders.held[h.Scope]; h.Kind == link.KindAlerts && held.version > 0 && h.Version >= held.version {
			all = append(all, held.ids...)
		}
	}
	return all
}

// heard notes that rows of alerts have come.
func (c *County) heard(b link.Batch) {
	for _, r := range b.Receipts {
		if r.Row.Alert != "" {
			c.orders.look(r.Row.Alert)
		}
	}
}

// settle moves on the alerts in force: airing once somebody sounds it, over at
// their end. Each replica does; what one does first the others find done.
func (c *County) settle(ctx context.Context) error {
	inForce, err := c.Store.AlertsInForce(ctx)
	if err != nil {
		return err
	}
	err = c.overtake(ctx, inForce)
	changed := map[playlist.Scope]bool{}
	for _, a := range inForce {
		if c.orders.abandoned(a, c.now()) {
			c.work.Go(func() { c.sound(ctx, withSound(a)) })
		}
		over := !c.now().Before(a.Ends)
		if !c.orders.lookAt(a.ID, c.now()) && !over {
			continue
		}
		moved, merr := c.move(ctx, a.ID, over)
		if merr != nil {
			return errors.Join(err, merr)
		}
		if moved && over {
			c.orders.stop(a.ID)
			for _, s := range a.Detail.Scopes {
				changed[s] = true
			}
		}
	}
	err = errors.Join(err, c.correct(ctx, inForce), c.tellAgain(ctx))
	c.orders.forget(inForce)
	for s := range changed {
		err = errors.Join(err, c.issueAlerts(ctx, s))
	}
	return err
}

// correct looks at alerts that are over and of which rows have come since:
// what was told of them may be too little.
func (c *County) correct(ctx context.Context, inForce []store.Alert) (err error) {
	for _, id := range c.orders.late(inForce) {
		a, aerr := c.Store.Alert(ctx, id)
		switch {
		case errors.Is(aerr, store.ErrNotFound):
			continue
		case aerr == nil && (!a.State.Over() || c.now().Sub(a.Ends) > owedFor):
			continue
		case aerr == nil:
			_, aerr = c.move(ctx, id, false)
		}
		if aerr != nil {
			c.orders.look(id)
			err = errors.Join(err, aerr)
		}
	}
	return err
}

// late are the alerts not in force of which rows have come, and forgets it.
func (o *orders) late(inForce []store.Alert) (all []playlist.AlertID) {
	o.Lock()
	defer o.Unlock()
	for id := range o.heard {
		if !slices.ContainsFunc(inForce, func(a store.Alert) bool { return a.ID == id }) {
			all = append(all, id)
			delete(o.heard, id)
		}
	}
	return all
}

// move moves an alert on by what is known of it, and tells whoever sent it. One
// that is over stays as it is; of that only the figures are told.
func (c *County) move(ctx context.Context, id playlist.AlertID, over bool) (moved bool, err error) {
	acc, err := c.AlertAccount(ctx, id)
	if err != nil {
		return false, err
	}
	later := false
	told := store.Told{At: c.now(), Started: acc.Outputs.Started, Completed: acc.Outputs.Completed}
	moved, err = c.Store.ChangeAlert(ctx, id, func(a *store.Alert) bool {
		to, before := a.State, a.Detail.Told
		switch {
		case a.State == emergency.StateRefused || a.State == emergency.StateLogged:
			return false
		case a.State.Over():
		case over && told.Completed > 0 && told.Completed == acc.Outputs.Targeted:
			to = emergency.StateDone
		case over && told.Started > 0:
			to = emergency.StatePartial
		case over:
			to = emergency.StateFailed
		case told.Started > 0:
			to = emergency.StateAiring
		}
		news := a.Detail.EBD != nil && (told.Started != before.Started || told.Completed != before.Completed)
		if since := told.At.Sub(before.At); to == a.State && news && since >= 0 && since < tellEvery {
			news, later = false, true
		}
		if to == a.State && !news {
			return false
		}
		a.State = to
		a.Owe(told)
		return true
	})
	if later {
		c.orders.look(id)
	}
	if moved {
		c.tell(ctx, id)
	}
	return moved, err
}

// lookAt reports whether an alert is to be looked at now, and notes that it is.
func (o *orders) lookAt(id playlist.AlertID, now time.Time) bool {
	o.Lock()
	defer o.Unlock()
	since := now.Sub(o.looked[id])
	if !o.heard[id] && since >= 0 && since < lookEvery {
		return false
	}
	delete(o.heard, id)
	if o.looked == nil {
		o.looked = map[playlist.AlertID]time.Time{}
	}
	o.looked[id] = now
	return true
}

// abandoned reports whether nobody has made an alert's sound in the time that
// it takes, nor was it tried here.
func (o *orders) abandoned(a store.Alert, now time.Time) bool {
	o.Lock()
	defer o.Unlock()
	return !o.tried[a.ID] && a.Detail.Clip == nil && a.Detail.NoClip == "" && now.Sub(a.Received) > soundAgain
}

// forget forgets what was noted of alerts that are over.
func (o *orders) forget(inForce []store.Alert) {
	o.Lock()
	defer o.Unlock()
	over := func(id playlist.AlertID) bool {
		return !slices.ContainsFunc(inForce, func(a store.Alert) bool { return a.ID == id })
	}
	maps.DeleteFunc(o.looked, func(id playlist.AlertID, _ time.Time) bool { return over(id) })
	maps.DeleteFunc(o.tried, func(id playlist.AlertID, _ bool) bool { return over(id) })
}
