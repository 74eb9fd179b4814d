package emergency

import (
	"slices"

	"dalaba/playlist/asrun"
)

// Sounding is what an alert may be aired as.
type Sounding struct {
	Own     []Audio   // whole sounds that came with it, in its order; the first that can be made a clip is aired
	Words   bool      // it has text, which is spoken if there is no whole sound; a title alone stands for no sound
	Damaged []Audio   // sounds that are damaged: aired if there is no text, or nothing can speak it
	Dropped []Dropped // the sounds that are not in Own, and why
}

// Dropped is a sound of an alert that is not aired, or only in need.
type Dropped struct {
	Name string `json:"name"`
	Why  string `json:"why"` // a key of playlist/say
}

// The reasons for which a sound is dropped.
const (
	SoundUnsigned = "alert.sound_unsigned" // the message is believed for its signature, which does not vouch for the sound
	SoundForeign  = "alert.sound_foreign"  // the same, and its digest is not that of the sound
	SoundDamaged  = "alert.sound_damaged"  // it is not as it was sent
	SoundUseless  = "alert.sound_useless"  // no clip could be made of it
)

// Sounding decides about the sounds that came with an alert. believed says that
// the way by which it came is believed: then so is what it brought. Otherwise
// its signature is, and a sound airs if the signature covers its bytes or a
// digest that it matches. A size vouches for nothing.
//
// A sound that is not as it was sent, by its digest or for its damaged text, has
// to do if there is no text, unless it is a stranger's: then it never airs.
func (a Alert) Sounding(believed bool) (s Sounding) {
	s.Words = slices.ContainsFunc(a.Texts, Text.says)
	signed := a.Signature.State == SignatureVerified
	for _, x := range a.Audio {
		covered := signed && x.Inline
		mismatched := len(x.Unfit) > 0 && x.Matched != ""
		if covered && mismatched { // the signature covers what the digest does not match
			x.Data, x.Unfit = x.Unfit, nil
		}
		switch {
		case len(x.Data)+len(x.Unfit) == 0:
		case !believed && !covered && mismatched:
			s.Dropped = append(s.Dropped, Dropped{x.Name, SoundForeign})
		case !believed && !covered && (!signed || x.Matched == "" || len(x.Unfit) > 0):
			s.Dropped = append(s.Dropped, Dropped{x.Name, SoundUnsigned})
		case len(x.Unfit) > 0:
			x.Data, x.Unfit = x.Unfit, nil
			s.Damaged = append(s.Damaged, x)
			s.Dropped = append(s.Dropped, Dropped{x.Name, SoundDamaged})
		default:
			s.Own = append(s.Own, x)
		}
	}
	if len(s.Own)+len(s.Damaged) == 0 {
		s.Words = slices.ContainsFunc(a.Texts, func(t Text) bool { return Alert{Texts: []Text{t}}.Spoken(t.Language) != "" })
	}
	return s
}

// says reports whether a text says more than its title.
func (t Text) says() bool { return HasWords(t.Text + t.Advice) }

// First is what the alert is aired as, if all that it needs for that works.
// generic says that there is a clip for its kind of event.
func (s Sounding) First(generic bool) asrun.Used {
	switch {
	case len(s.Own) > 0:
		return asrun.UsedClip
	case s.Words:
		return asrun.UsedSpeech
	case len(s.Damaged) > 0:
		return asrun.UsedClip
	case generic:
		return asrun.UsedGeneric
	}
	return asrun.UsedTone
}
