package county

import (
	"cmp"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Preview is an alert as people will hear it, for the person who decides about it.
type Preview struct {
	Kind   emergency.Kind  `json:"kind"`
	Class  emergency.Class `json:"class"`
	Level  emergency.Level `json:"level"`
	Event  string          `json:"event,omitempty"`
	Title  string          `json:"title,omitempty"`
	Name   string          `json:"name"`            // what to call it in a question
	Words  string          `json:"words,omitempty"` // what is read out, each part on a line of its own
	Sound  SoundPreview    `json:"sound"`
	Passes int             `json:"passes,omitempty"` // 0: as each controller has it

	NotBefore time.Time `json:"not_before,omitzero"` // if it does not sound at once
	Ends      time.Time `json:"ends"`
	Cut       bool      `json:"cut,omitempty"`  // it names a later end
	Late      bool      `json:"late,omitempty"` // its time was over when it came, and yet it sounds

	Offline Villages `json:"offline"` // not seen lately
	Astray  Villages `json:"astray"`  // their own config has them elsewhere
	Faulty  Villages `json:"faulty"`  // a person must mend something there
}

// SoundPreview is what an alert is aired as, if all goes well.
type SoundPreview struct {
	Used    asrun.Used    `json:"used"` // clip or speech; tone: the clip that a controller has for such events, else the tone alone
	Name    string        `json:"name,omitempty"`
	Format  string        `json:"format,omitempty"`  // in which it came
	Length  time.Duration `json:"length,omitempty"`  // of the clip that is made of it; 0: not found out
	Damaged bool          `json:"damaged,omitempty"` // it is not whole, and has to do
	Why     []string      `json:"why,omitempty"`     // what is wrong with the sounds that cannot be used, in the reader's language

	why []error
}

// Villages is some of the controllers that an alert is for.
type Villages struct {
	Controllers int      `json:"controllers"`
	Residents   int      `json:"residents"`
	Names       []string `json:"names,omitempty"` // the first few
}

// mostVillages is how many villages are named of those with trouble.
const mostVillages = 10

func (v *Villages) add(k store.Controller) {
	v.Controllers++
	for _, o := range k.Outputs {
		v.Residents += o.Residents
	}
	if len(v.Names) < mostVillages {
		v.Names = append(v.Names, cmp.Or(k.Name, string(k.ID)))
	}
}

// mostNameWords is how many characters of its words name an alert that has no title.
const mostNameWords = 16

// preview shows a message as people will hear it.
func (a *alerts) preview(msg store.Alert, in incoming) *Preview {
	text, _ := msg.Text("zh-CN")
	p := &Preview{
		Kind: msg.Kind, Class: msg.Class, Level: msg.Level, Event: msg.Event, Title: text.Title, Words: msg.Spoken("zh-CN"), Passes: msg.Passes,
		Ends: msg.Ends, Cut: msg.NotAfter.Sub(msg.Ends) > time.Second, Late: msg.Detail.Late,
	}
	if msg.Early(msg.Received) {
		p.NotBefore = msg.NotBefore
	}
	if in.Sound != nil {
		p.Sound = *in.Sound
	} else {
		p.Sound = soundOf(a.sounds.sounding(msg.Alert, msg.Source))
	}
	words := []rune(strings.SplitN(p.Words, "\n", 2)[0])
	p.Name = cmp.Or(text.Title, msg.Event, string(words[:min(len(words), mostNameWords)]), p.Sound.Name, string(msg.ID))
	return p
}

// look notes which of the controllers that an alert is for may not sound it.
func (p *Preview) look(b base, list []store.Controller) error {
	for _, k := range list {
		h, err := health(k)
		if err != nil {
			return err
		}
		if !b.online(k) {
			p.Offline.add(k)
		}
		if len(k.Astray()) > 0 {
			p.Astray.add(k)
		}
		if len(faultsOf(h)) > 0 {
			p.Faulty.add(k)
		}
	}
	return nil
}

// soundOf is what an alert is aired as, by what it brought alone.
func soundOf(s emergency.Sounding) SoundPreview {
	p := SoundPreview{Used: s.First(false)}
	for _, d := range s.Dropped {
		p.why = append(p.why, say.M("county.sound_why", d.Name, say.M(d.Why)))
	}
	if all := append(s.Own[:len(s.Own):len(s.Own)], s.Damaged...); p.Used == asrun.UsedClip {
		p.Name, p.Damaged = all[0].Name, len(s.Own) == 0
	}
	return p
}

// unusable returns what is wrong with a sound that an operator wants aired; nil if it airs.
func (s SoundPreview) unusable() error {
	if len(s.why) > 0 {
		return invalid("county.sound_unusable", s.why[0])
	}
	return nil
}

// in is the verdict for readers of a language.
func (v Verdict) in(l say.Lang) Verdict {
	if v.Preview != nil {
		p := *v.Preview
		p.Sound.Why = nil
		for _, err := range p.Sound.why {
			p.Sound.Why = append(p.Sound.Why, say.In(l, err))
		}
		v.Preview = &p
	}
	return v
}
