package county

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// hold notes until when a message waits for a person, if it is to.
//
// One from outside waits if the config names its level, but for no more than half of the
// time that is left to it, and then sounds by itself. One by hand waits for a second
// person if it is red, for the whole county and no drill; if none comes, it does not
// sound, because it can still be sent to the towns.
func (a *alerts) hold(ctx context.Context, msg *store.Alert) {
	wait := time.Duration(0)
	switch {
	case msg.Kind != emergency.KindRequest && msg.Kind != emergency.KindUpdate, msg.Source == FromLink:
	case msg.Source != FromHand:
		if slices.Contains(a.rules.Review, msg.Level.Ranked()) {
			wait = min(a.rules.ReviewWait, msg.Ends.Sub(msg.Received)/2)
		}
	default:
		msg.Detail.First = userOf(ctx)
		whole := slices.Contains(msg.Detail.Scopes, playlist.AreaScope(a.area))
		if msg.Level.Ranked() == emergency.Red && msg.Class == emergency.ClassEmergency && whole {
			wait = a.rules.SecondWait
		}
		msg.Detail.Second = wait > 0
	}
	if wait > 0 {
		msg.Held = msg.Received.Add(wait)
	}
}

// release has an alert that waits for a person sound now; if dry is set, it only shows
// it.
func (a *alerts) release(ctx context.Context, id playlist.AlertID, dry bool) (Verdict, error) {
	if dry {
		return a.inReview(ctx, id)
	}
	user := userOf(ctx)
	return a.endReview(ctx, id, func(m *store.Alert) error {
		if m.Detail.Second && (user == "" || user == m.Detail.First) {
			return invalid("county.release_same", string(id), m.Detail.First)
		}
		return a.released(m, user)
	})
}

// released notes that an alert is to sound now, unless its time is over.
func (a *alerts) released(m *store.Alert, by string) error {
	m.Detail.Decider = by
	if now := a.now(); now.Before(m.Ends) {
		m.Detail.Released = now
		return a.waited(m, emergency.StateWaiting, emergency.ReasonNone)
	}
	return a.waited(m, emergency.StateRefused, emergency.ReasonExpired)
}

// waited notes what became of an alert that waited for a person.
func (a *alerts) waited(m *store.Alert, s emergency.State, why emergency.Reason) error {
	m.State, m.Why, m.Held = s, string(why), time.Time{}
	news := m.Detail.Told
	news.At = a.now()
	m.Owe(news)
	return nil
}

// decline ends an alert that waits for a person: it does not sound.
func (a *alerts) decline(ctx context.Context, id playlist.AlertID, why string) (Verdict, error) {
	if strings.TrimSpace(why) == "" {
		return Verdict{}, invalid("county.decline_why")
	}
	user := userOf(ctx)
	return a.endReview(ctx, id, func(m *store.Alert) error {
		m.Detail.Decider, m.Detail.Declined = user, why
		return a.waited(m, emergency.StateRefused, emergency.ReasonDeclined)
	})
}

// endReview has decide say what becomes of an alert that waits for a person, and issues it.
// Of several who do so at once, in this process or another, only the first is asked.
func (a *alerts) endReview(ctx context.Context, id playlist.AlertID, decide func(*store.Alert) error) (v Verdict, err error) {
	ctx = context.WithoutCancel(ctx)
	whole, err := a.store.Alert(ctx, id)
	if err != nil {
		return v, noAlert(err, id)
	}
	c, err := a.concerned(ctx, whole.Alert, whole.Detail.Scopes, true)
	if err != nil {
		return v, err
	}
	kept, ended, err := a.store.EndReview(ctx, id, a.rules.Retirers, c.targets, decide)
	if errors.Is(err, store.ErrConflict) {
		return v, notInReview(kept)
	}
	if err != nil {
		return v, err
	}
	a.log.Warn("wait for a person is over", "alert", id, "state", kept.State, "why", kept.Why, "by", kept.Detail.Decider)
	if kept.State.Over() {
		a.sounds.stop(id)
	}
	v = Verdict{ID: id, Reaches: a.reaches(c.controllers)}.of(kept)
	if kept.Detail.Clip == nil {
		kept = withSound(ctx, kept)
	}
	v.Short, err = a.pass(ctx, kept, ended)
	a.changed(ctx, id)
	return v, err
}

// inReview shows an alert that waits for a person.
func (a *alerts) inReview(ctx context.Context, id playlist.AlertID) (v Verdict, err error) {
	m, err := a.store.Alert(ctx, id)
	if err != nil {
		return v, noAlert(err, id)
	}
	if m.State != emergency.StateReview {
		return v, notInReview(m)
	}
	c, err := a.concerned(ctx, m.Alert, m.Detail.Scopes, true)
	if err != nil {
		return v, err
	}
	in := incoming{}
	if clip := m.Detail.Clip; clip != nil {
		in.Sound = &SoundPreview{Used: asrun.UsedClip, Name: clip.Title, Length: clip.Length()}
		if m.Detail.Spoken {
			in.Sound.Used = asrun.UsedSpeech
		}
		if m.Detail.NoClip != "" {
			in.Sound.why = []error{say.M("cli.as_it_is", m.Detail.NoClip)}
		}
	}
	m = withSound(ctx, m)
	v = Verdict{ID: id, Reaches: a.reaches(c.controllers)}.of(m)
	v.Preview = a.preview(m, in)
	return v, v.Preview.look(a.base, c.controllers)
}

func notInReview(m store.Alert) error {
	return fault{store.ErrConflict, say.M("county.not_in_review", string(m.ID), say.Word("county.alert_", string(m.State)))}
}

// advance ends the wait of alerts for a person: one from outside sounds then, one that
// needs a second person is over.
func (a *alerts) advance(ctx context.Context) error {
	waiting, err := a.store.AlertsInReview(ctx)
	for _, m := range waiting {
		if a.now().Before(m.Held) {
			continue
		}
		_, rerr := a.endReview(ctx, m.ID, func(m *store.Alert) error {
			if m.Detail.Second {
				return a.waited(m, emergency.StateRefused, emergency.ReasonSingle)
			}
			return a.released(m, "")
		})
		if !errors.Is(rerr, store.ErrConflict) { // another replica was faster
			err = errors.Join(err, rerr)
		}
	}
	return err
}
