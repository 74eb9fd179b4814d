package county

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"dalaba/alert"
	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
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
	proven map[string]SoundPreview   // by [soundsKey]
}

func newSounds(b base, st soundStore, maker *ingest.Ingester, o *orders, rules AlertRules) *sounds {
	s := &sounds{base: b, store: st, orders: o, rules: rules, making: map[playlist.AlertID]context.CancelFunc{}, tried: map[playlist.AlertID]bool{}, proven: map[string]SoundPreview{}}
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
	if s.clips == nil || a.Detail.Clip != nil || !s.begin(a.ID, cancel) {
		return
	}
	defer s.end(a.ID)
	done, ok := s.turns.wait(ctx, a.Precedence(a.Detail.Rank, a.Received))
	if !ok {
		return
	}
	defer done()
	made, why := s.own(ctx, *s.clips, a.Alert, s.sounding(a.Alert, a.Source))
	a.Detail.NoClip = reasons(why)
	if made != nil {
		s.attach(ctx, a, made.clip, false)
		return
	}
	if words := a.Spoken("zh-CN"); words != "" {
		text, _ := a.Text("zh-CN")
		clip, err := s.clips.Speak(ctx, words, text.Language, a.Headline())
		if err == nil {
			if a.Detail.NoClip != "" {
				s.log.Error("sound of alert cannot be used; its text is spoken instead", "alert", a.ID, "why", a.Detail.NoClip)
			}
			s.attach(ctx, a, clip, true)
			return
		}
		why = append(why, say.M("county.sound_why", say.M("county.sound_speech"), err))
	}
	if ctx.Err() == nil {
		s.giveUp(ctx, a.ID, reasons(why))
	}
}

// reasons puts into words why the sounds of an alert are not used.
func reasons(why []error) string {
	all := make([]string, len(why))
	for i, err := range why {
		all[i] = say.In(say.Chinese, err)
	}
	return strings.Join(all, "; ")
}

// begin notes that an alert's clip is made here, unless it is already.
func (s *sounds) begin(id playlist.AlertID, cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.making[id] != nil {
		return false
	}
	s.making[id], s.tried[id] = cancel, true
	return true
}

func (s *sounds) end(id playlist.AlertID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.making, id)
}

// sounding is what an alert that came by source may be aired as.
func (s *sounds) sounding(a emergency.Alert, source string) emergency.Sounding {
	f := s.rules.facts(source)
	return a.Sounding(f.Vouched || f.Unsigned)
}

// ownClip is a clip that was made of a sound that came with an alert.
type ownClip struct {
	clip    playlist.Clip
	name    string // of the sound
	figures ingest.Figures
	damaged error // what is wrong with the sound, which airs only because there is no text; nil: nothing
}

// own makes a clip of the first of an alert's own sounds that can be used; nil if none can.
// It returns what is wrong with the others.
func (s *sounds) own(ctx context.Context, maker ingest.AlertClips, a emergency.Alert, of emergency.Sounding) (made *ownClip, why []error) {
	for _, d := range of.Dropped {
		why = append(why, say.M("county.sound_why", d.Name, say.M(d.Why)))
	}
	for _, x := range a.Audio {
		if len(x.Data)+len(x.Unfit) == 0 {
			why = append(why, say.M("county.sound_why", x.Name, say.M("county.sound_absent")))
		}
	}
	try := func(sounds []emergency.Audio) {
		for _, audio := range sounds {
			bounded, done := context.WithTimeout(ctx, audioWait)
			clip, figures, err := maker.Convert(bounded, a, audio)
			done()
			damage := figures.Damaged()
			if err == nil && of.Words {
				err = damage // the text is better than a part of the sound
			}
			if err == nil {
				made = &ownClip{clip, audio.Name, figures, damage}
				return
			}
			why = append(why, say.M("county.sound_why", audio.Name, err))
		}
	}
	if try(of.Own); made == nil && !of.Words {
		if try(of.Damaged); made != nil {
			made.damaged = say.M(emergency.SoundDamaged)
		}
	}
	return made, why
}

const (
	// mostProven is how many sounds that were tried out are remembered.
	mostProven = 32

	// proveWait is how long a sound is tried out before the alert goes on without that.
	proveWait = 20 * time.Second
)

// prove finds out what an alert will be aired as, by making the clip of its own sound as
// [sounds.make] does, and throwing it away. It is nil if the alert brought no sound, or if
// that took too long. It is found out once: it need not be waited for again.
func (s *sounds) prove(ctx context.Context, a emergency.Alert, source string) (*SoundPreview, error) {
	if s.clips == nil || len(a.Audio) == 0 {
		return nil, nil
	}
	of := s.sounding(a, source)
	key := soundsKey(a, of)
	s.mu.Lock()
	p, ok := s.proven[key]
	s.mu.Unlock()
	if ok {
		return &p, nil
	}
	bounded, cancel := context.WithTimeout(ctx, proveWait)
	defer cancel()
	done, ok := s.turns.wait(bounded, a.Precedence(0, s.now()))
	if !ok {
		return nil, ctx.Err()
	}
	defer done()
	away := ingest.AlertClips{Ingester: s.clips.Ingester, Shelve: func(context.Context, playlist.Clip, io.Reader) error { return nil }}
	made, why := s.own(bounded, away, a, of)
	if bounded.Err() != nil {
		return nil, ctx.Err()
	}
	p = SoundPreview{Used: emergency.Sounding{Words: a.Spoken("zh-CN") != ""}.First(false), why: why}
	if made != nil {
		p.Used, p.Name, p.Format, p.Length, p.Damaged = asrun.UsedClip, made.name, made.figures.Format, made.clip.Length(), made.damaged != nil
	}
	if p.Damaged && len(of.Damaged) == 0 { // else it is among those dropped
		p.why = append(p.why, say.M("county.sound_why", made.name, made.damaged))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.proven) >= mostProven {
		clear(s.proven)
	}
	s.proven[key] = p
	return &p, nil
}

// soundsKey tells apart the sounds of alerts, and whether there is text beside them.
func soundsKey(a emergency.Alert, of emergency.Sounding) string {
	h := sha256.New()
	fmt.Fprintf(h, "%v %q", of.Words, of.Dropped)
	for _, x := range a.Audio {
		fmt.Fprintf(h, "%q %d %d ", x.Name, len(x.Data), len(x.Unfit))
		_, _ = h.Write(x.Data)
		_, _ = h.Write(x.Unfit)
	}
	return string(h.Sum(nil))
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
	return !s.tried[a.ID] && a.Detail.Clip == nil && a.Detail.NoClip == "" && s.now().Sub(a.Ordered()) > soundAgain
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
