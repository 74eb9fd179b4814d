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

	mu       sync.Mutex
	speaking bool // its text
	speech   AlertSound
	noWords  error // why the text could not be spoken, the last time; nil if it was not tried
	told     string

	unfit atomic.Bool // the alert's clip would not air: it is not waited for
}

func newChoice(ctx context.Context, a *Alarm, s *sounding) *choice {
	c := &choice{a: a, s: s, ctx: ctx}
	if c.hasText() {
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

func (c *choice) hasText() bool { return c.s.latest().Spoken("") != "" }

// hopeless reports whether nothing but the tone can come any more: the alert has no words,
// and no sound that could still be made a clip.
func (c *choice) hopeless() bool {
	r := c.s.latest()
	return !c.hasText() && (r.Clip == nil && len(r.Audio) == 0 || c.unfit.Load())
}

// speak has the text spoken, unless it was or could not be; see [choice.again].
func (c *choice) speak() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.speaking || c.speech.Path != "" || c.noWords != nil || !c.hasText() {
		return
	}
	c.speaking = true
	c.a.work.Go(func() {
		speech, err := c.sound(c.ctx, asrun.UsedSpeech)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.speaking, c.speech, c.noWords = false, speech, err
		if err != nil && c.ctx.Err() == nil && err.Error() != c.told {
			c.told = err.Error()
			c.a.p.Log.Error("alert cannot be spoken", "alert", c.s.latest().ID, "err", err)
		}
	})
}

// again has the text spoken once more if it could not be: what was in the way may be
// over, such as a disk that was full.
func (c *choice) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.speaking {
		c.noWords = nil
	}
}

// best waits, while the tone sounds, for the best that there is and that was
// not found unfit: the alert's clip; its text spoken, at once if no clip is to
// come and otherwise when the tone has sounded its longest; a clip for its kind
// of event. ok is false if there is none of them.
func (c *choice) best(ctx context.Context, began time.Time, rules playlist.AlertRules, unfit []asrun.Used) (used asrun.Used, found AlertSound, ok bool) {
	if slices.Contains(unfit, asrun.UsedClip) {
		c.unfit.Store(true)
	}
	c.again()
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
	speech, spoken, said := c.said()
	r := c.s.latest()
	if expected := r.Clip != nil || len(r.Audio) > 0; expected && !late && !c.unfit.Load() {
		return "", AlertSound{}, false
	}
	if said && spoken && fit(asrun.UsedSpeech) {
		return asrun.UsedSpeech, speech, true
	}
	if (said || late) && fit(asrun.UsedGeneric) {
		if found, err := c.sound(ctx, asrun.UsedGeneric); err == nil {
			return asrun.UsedGeneric, found, true
		}
	}
	return "", AlertSound{}, false
}

// said returns the text spoken, if that worked, and reports whether speaking is over.
func (c *choice) said() (speech AlertSound, ok, over bool) {
	if !c.hasText() {
		return speech, false, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.speech, c.speech.Path != "", c.speech.Path != "" || c.noWords != nil
}
