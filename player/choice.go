package player

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// choice decides, for all outputs of an alert, what is heard after the tone.
type choice struct {
	a   *Alarm
	s   *sounding
	ctx context.Context // of the sounding

	begun   sync.Once
	spoken  chan struct{} // closed once speech is made or cannot be; nil: there is no text
	speech  AlertSound
	noWords error
	unfit   atomic.Bool // the alert's clip would not air: it is not waited for
}

func newChoice(ctx context.Context, a *Alarm, s *sounding) *choice {
	c := &choice{a: a, s: s, ctx: ctx}
	r := s.latest()
	if _, ok := r.Text(""); ok {
		c.spoken = make(chan struct{})
		// Made at once, so that it is ready if the clip does not come.
		a.work.Go(func() {
			if _, err := c.sound(ctx, asrun.UsedClip); err != nil {
				c.speak()
			}
		})
	}
	return c
}

// sound is the alert, as it now stands, in one of its forms.
func (c *choice) sound(ctx context.Context, as asrun.Used) (AlertSound, error) {
	return c.a.sounds.Sound(ctx, c.s.latest(), as)
}

// speak has the text spoken, once.
func (c *choice) speak() {
	if c.spoken == nil {
		return
	}
	c.begun.Do(func() {
		c.a.work.Go(func() {
			defer close(c.spoken)
			c.speech, c.noWords = c.sound(c.ctx, asrun.UsedSpeech)
			if c.noWords != nil && c.ctx.Err() == nil {
				c.a.p.Log.Error("alert cannot be spoken", "alert", c.s.latest().ID, "err", c.noWords)
			}
		})
	})
}

// best waits, while the tone sounds, for the best that there is and that was
// not found unfit: the alert's clip; its text spoken, at once if no clip is to
// come and otherwise when the tone has sounded its longest; a clip for its kind
// of event. ok is false if there is none of them.
func (c *choice) best(ctx context.Context, began time.Time, rules playlist.AlertRules, unfit []asrun.Used) (used asrun.Used, found AlertSound, ok bool) {
	if slices.Contains(unfit, asrun.UsedClip) {
		c.unfit.Store(true)
	}
	for {
		late := time.Since(began) >= rules.ToneMax
		if used, found, ok = c.now(ctx, late, unfit); ok {
			return used, found, true
		}
		if late || pause(ctx, sirenLook) != nil {
			return asrun.UsedTone, AlertSound{}, false
		}
	}
}

// now is the best that there is now. late says that the clip is not waited for
// any longer.
func (c *choice) now(ctx context.Context, late bool, unfit []asrun.Used) (used asrun.Used, found AlertSound, ok bool) {
	fit := func(u asrun.Used) bool { return !slices.Contains(unfit, u) }
	if fit(asrun.UsedClip) {
		if found, err := c.sound(ctx, asrun.UsedClip); err == nil {
			return asrun.UsedClip, found, true
		}
	}
	c.speak()
	spoken, said := c.said()
	r := c.s.latest()
	if expected := r.Clip != nil || len(r.Audio) > 0; expected && !late && !c.unfit.Load() {
		return "", AlertSound{}, false
	}
	if said && spoken && fit(asrun.UsedSpeech) {
		return asrun.UsedSpeech, c.speech, true
	}
	if (said || late) && fit(asrun.UsedGeneric) {
		if found, err := c.sound(ctx, asrun.UsedGeneric); err == nil {
			return asrun.UsedGeneric, found, true
		}
	}
	return "", AlertSound{}, false
}

// said reports whether speaking is over, and whether it gave a sound.
func (c *choice) said() (ok, over bool) {
	if c.spoken == nil {
		return false, true
	}
	select {
	case <-c.spoken:
		return c.noWords == nil, true
	default:
		return false, false
	}
}
