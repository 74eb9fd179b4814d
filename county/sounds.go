package county

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"dalaba/alert"
	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// soundStore keeps the clips of alerts.
type soundStore interface {
	ChangeAlert(ctx context.Context, id playlist.AlertID, f func(*store.Alert) bool) (changed bool, err error)
	shelf
}

// shelf keeps clips.
type shelf interface {
	Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)
	AddClip(ctx context.Context, c playlist.Clip, src io.Reader) error
}

// sounds makes the clips of alerts.
type sounds struct {
	base
	store  soundStore
	clips  *ingest.AlertClips // nil: no clips are made
	orders *orders
	rules  AlertRules
	turns  turns

	mu     sync.Mutex
	making map[playlist.AlertID]context.CancelFunc
	tried  map[playlist.AlertID]bool // a clip was made here, or could not be
}

func newSounds(b base, st soundStore, maker *ingest.Ingester, o *orders, rules AlertRules) *sounds {
	s := &sounds{base: b, store: st, orders: o, rules: rules, making: map[playlist.AlertID]context.CancelFunc{}, tried: map[playlist.AlertID]bool{}}
	if maker != nil {
		s.clips = &ingest.AlertClips{Ingester: maker, Shelve: func(ctx context.Context, c playlist.Clip, r io.Reader) error { return putClip(ctx, st, c, r) }}
	}
	return s
}

// putClip stores a clip of an alert. One that the library has keeps what that says of it.
func putClip(ctx context.Context, st shelf, c playlist.Clip, src io.Reader) error {
	if known, _, err := st.Clip(ctx, c.ID); err == nil {
		c = known
	}
	return st.AddClip(ctx, c, src)
}

const (
	// audioWait is how long the sound of an alert may take to be converted before
	// its text is spoken instead.
	audioWait = 2 * time.Minute

	// soundAgain is how long after an alert came its clip is made by other
	// replicas too: by then the one that took the alert in has made it or has died.
	soundAgain = audioWait + 30*time.Second
)

// make makes an alert's clip, of the sound that came with it, else of its text,
// else, if it has none, of a damaged sound, and issues the alert with it. Until
// then its order alone is in force.
func (s *sounds) make(ctx context.Context, a store.Alert) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.begin(a.ID, cancel)
	defer s.end(a.ID)
	if s.clips == nil || a.Detail.Clip != nil {
		return
	}
	done, ok := s.turns.wait(ctx, a.Precedence(a.Detail.Rank, a.Received))
	if !ok {
		return
	}
	defer done()
	f := s.rules.facts(a.Source)
	sounding := a.Sounding(f.Vouched || f.Unsigned)
	var why []string
	for _, d := range sounding.Dropped {
		why = append(why, d.Name+": "+say.M(d.Why).In(say.Chinese))
	}
	for _, x := range a.Audio {
		if len(x.Data)+len(x.Unfit) == 0 {
			why = append(why, x.Name+": no usable sound came with it")
		}
	}
	clip, ok := s.convert(ctx, a, sounding.Own, sounding.Words, &why)
	if !ok && !sounding.Words {
		clip, ok = s.convert(ctx, a, sounding.Damaged, false, &why)
	}
	a.Detail.NoClip = strings.Join(why, "; ")
	if ok {
		s.attach(ctx, a, clip, false)
		return
	}
	if words := a.Spoken("zh-CN"); words != "" {
		text, _ := a.Text("zh-CN")
		clip, err := s.clips.Speak(ctx, words, text.Language, a.Headline())
		if err == nil {
			s.attach(ctx, a, clip, true)
			return
		}
		why = append(why, "speech: "+err.Error())
	}
	if ctx.Err() == nil {
		s.giveUp(ctx, a.ID, strings.Join(why, "; "))
	}
}

func (s *sounds) begin(id playlist.AlertID, cancel context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.making[id], s.tried[id] = cancel, true
}

func (s *sounds) end(id playlist.AlertID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.making, id)
}

// convert makes a clip of the first of those sounds that can be used. If the alert has
// words, which are better than a part of the sound, it uses whole sounds alone. It adds to
// why what is wrong with those before it.
func (s *sounds) convert(ctx context.Context, a store.Alert, sounds []emergency.Audio, words bool, why *[]string) (clip playlist.Clip, ok bool) {
	for _, audio := range sounds {
		bounded, done := context.WithTimeout(ctx, audioWait)
		clip, figures, err := s.clips.Convert(bounded, a.Alert, audio)
		done()
		if err == nil && words {
			err = figures.Damaged()
		}
		if err == nil {
			return clip, true
		}
		*why = append(*why, audio.Name+": "+err.Error())
	}
	return clip, false
}

// giveUp notes why an alert has no clip. The controllers have its words and
// speak them themselves, or play what they keep for such events.
func (s *sounds) giveUp(ctx context.Context, id playlist.AlertID, why string) {
	s.log.Error("alert has no clip; controllers speak it themselves", "alert", id, "why", why)
	_, err := s.store.ChangeAlert(ctx, id, func(now *store.Alert) bool {
		now.Detail.NoClip = why
		return now.Detail.Clip == nil // else another replica could make it
	})
	if err != nil {
		s.log.Error("alert could not be kept", "alert", id, "err", err)
	}
}

// attach gives an alert its clip, unless it is over or another replica has given
// it one.
func (s *sounds) attach(ctx context.Context, a store.Alert, clip playlist.Clip, spoken bool) {
	changed, err := s.store.ChangeAlert(ctx, a.ID, func(now *store.Alert) bool {
		if now.State.Over() || now.Detail.Clip != nil {
			return false
		}
		now.Detail.Clip, now.Detail.Spoken, now.Detail.NoClip = &clip, spoken, a.Detail.NoClip
		return true
	})
	if changed {
		for _, scope := range a.Detail.Scopes {
			_, rerr := s.orders.renew(ctx, scope)
			err = errors.Join(err, rerr)
		}
	}
	if err != nil && ctx.Err() == nil { // else the alert is over, or the next run makes it
		s.log.Error("clip of alert could not be issued", "alert", a.ID, "clip", clip.ID, "err", err)
	}
}

// stop ends the making of an alert's clip.
func (s *sounds) stop(id playlist.AlertID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.making[id]; cancel != nil {
		cancel()
	}
}

// abandoned reports whether no replica has made an alert's clip in the time that
// it takes, and this one has not tried.
func (s *sounds) abandoned(a store.Alert) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.tried[a.ID] && a.Detail.Clip == nil && a.Detail.NoClip == "" && s.now().Sub(a.Received) > soundAgain
}

// forget forgets the alerts that are not in force.
func (s *sounds) forget(inForce map[playlist.AlertID]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keepOnly(s.tried, inForce)
}

// withSound is an alert with the sound that came with it. The store has that in
// the raw message alone.
func withSound(ctx context.Context, a store.Alert) store.Alert {
	var h ByHand
	if a.Source == FromHand && json.Unmarshal(a.Raw, &h) == nil {
		a.Audio = h.sound()
	} else if m, err := alert.Parse(ctx, a.Raw, alert.Options{}); err == nil {
		a.Audio = m.Alert.Audio
	}
	return a
}
