package emergency_test

import (
	"slices"
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

func TestWhichSoundAnAlertIsAiredAs(t *testing.T) {
	whole := func(matched string) emergency.Audio {
		return emergency.Audio{Name: "a.mp3", Matched: matched, Data: []byte("sound"), Size: 5}
	}
	unfit := func(matched string) emergency.Audio {
		return emergency.Audio{Name: "a.mp3", Matched: matched, Unfit: []byte("sound")}
	}
	inline := func(a emergency.Audio) emergency.Audio { a.Inline = true; return a }
	const signed, absent, unknown = emergency.SignatureVerified, emergency.SignatureAbsent, emergency.SignatureUnknown
	for _, c := range []struct {
		name      string
		audio     emergency.Audio
		signature emergency.SignatureState
		believed  bool       // the way it came by
		as, mute  asrun.Used // with text, and without
		why       string
	}{
		{"signed, inline", inline(whole("")), signed, false, asrun.UsedClip, asrun.UsedClip, ""},
		{"signed, inline, with a digest of something else", inline(unfit("none")), signed, false, asrun.UsedClip, asrun.UsedClip, ""},
		{"signed, inline, its text damaged", inline(unfit("")), signed, false, asrun.UsedSpeech, asrun.UsedClip, emergency.SoundDamaged},
		{"signed, beside the message, with its digest", whole("bytes"), signed, false, asrun.UsedClip, asrun.UsedClip, ""},
		{"signed, beside the message, with a size alone", whole(""), signed, false, asrun.UsedSpeech, asrun.UsedGeneric, emergency.SoundUnsigned},
		{"signed, beside the message, exchanged", unfit("none"), signed, false, asrun.UsedSpeech, asrun.UsedGeneric, emergency.SoundForeign},
		{"signed, and by a way that is believed", whole(""), signed, true, asrun.UsedClip, asrun.UsedClip, ""},
		{"by a way that is believed", whole(""), absent, true, asrun.UsedClip, asrun.UsedClip, ""},
		{"by a way that is believed, with its digest", inline(whole("base64")), absent, true, asrun.UsedClip, asrun.UsedClip, ""},
		{"by a way that is believed, with a digest of something else", unfit("none"), absent, true, asrun.UsedSpeech, asrun.UsedClip, emergency.SoundDamaged},
		{"by a way that is believed, its text damaged", inline(unfit("")), unknown, true, asrun.UsedSpeech, asrun.UsedClip, emergency.SoundDamaged},
		{"inline, by a signer who is not known", inline(whole("")), unknown, false, asrun.UsedSpeech, asrun.UsedGeneric, emergency.SoundUnsigned},
		{"none came along", emergency.Audio{Name: "a.mp3", URI: "http://h/a.mp3"}, signed, false, asrun.UsedSpeech, asrun.UsedGeneric, ""},
	} {
		a := emergency.Alert{Audio: []emergency.Audio{c.audio}, Signature: emergency.Signature{State: c.signature}}
		for text, want := range map[string]asrun.Used{"撤离": c.as, "": c.mute} {
			a.Texts = []emergency.Text{{Language: "zh-CN", Text: text}}
			s := a.Sounding(c.believed)
			if as := s.First(true); as != want {
				t.Errorf("%s, text %q: %s, want %s", c.name, text, as, want)
			}
			if as := s.First(false); want == asrun.UsedGeneric && as != asrun.UsedTone {
				t.Errorf("%s, without a generic clip: %s", c.name, as)
			}
			for _, x := range append(s.Own, s.Damaged...) {
				if string(x.Data) != "sound" {
					t.Errorf("%s: %q is made a clip of", c.name, x.Data)
				}
			}
			if got := ""; len(s.Dropped) > 0 != (c.why != "") || len(s.Dropped) > 0 && s.Dropped[0].Why != c.why {
				t.Errorf("%s: %q dropped %v, want %q", c.name, got, s.Dropped, c.why)
			}
		}
	}
}

// The pole waits, while the tone sounds, only for a sound that is to be aired.
func TestTheRecordHasTheSoundsThatAreExpectedAndWhyOthersAreNot(t *testing.T) {
	withText := func(r *emergency.Record) { r.Texts = []emergency.Text{{Language: "zh-CN", Text: "撤离"}} }
	for _, c := range []struct {
		name   string
		change func(*emergency.Record)
		names  []string
		why    []string
	}{
		{"damaged, beside a text", withText, []string{"good.mp3"}, []string{emergency.SoundDamaged}},
		{"damaged, and no text", func(*emergency.Record) {}, []string{"good.mp3", "bad.mp3"}, []string{emergency.SoundDamaged}},
	} {
		r := message("A", c.change)
		r.Audio = []emergency.Audio{{Name: "bad.mp3", Unfit: []byte("x"), Matched: "none"}, {Name: "good.mp3", Data: []byte("y")}}
		b := emergency.NewBook(emergency.Kept{})
		b.Receive(r, alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}}))
		got, _ := b.Record("A")
		var names, why []string
		for _, x := range got.Audio {
			names = append(names, x.Name)
			if len(x.Data) > 0 {
				t.Errorf("%s: the book holds %d bytes of %s", c.name, len(x.Data), x.Name)
			}
		}
		for _, d := range got.Dropped {
			why = append(why, d.Why)
		}
		if !slices.Equal(names, c.names) || !slices.Equal(why, c.why) {
			t.Errorf("%s: expects %q, dropped %q", c.name, names, why)
		}
		if len(r.Audio[1].Data) == 0 {
			t.Errorf("%s: the sound is gone before a clip was made of it", c.name)
		}
	}
}

// A title names an alert of sound alone. It is better than no words, and no better than
// the part of a sound.
func TestATitleAloneIsSpokenOnlyIfThereIsNoSound(t *testing.T) {
	sound := []emergency.Audio{{Name: "a.mp3", Data: []byte("sound")}}
	damaged := []emergency.Audio{{Name: "a.mp3", Unfit: []byte("sound")}}
	for _, c := range []struct {
		name  string
		audio []emergency.Audio
		text  emergency.Text
		want  asrun.Used
	}{
		{"a title and a sound", sound, emergency.Text{Title: "演练通知"}, asrun.UsedClip},
		{"a title and a damaged sound", damaged, emergency.Text{Title: "演练通知"}, asrun.UsedClip},
		{"a text and a damaged sound", damaged, emergency.Text{Text: "请撤离"}, asrun.UsedSpeech},
		{"advice and a damaged sound", damaged, emergency.Text{Title: "洪水", Advice: "请撤离"}, asrun.UsedSpeech},
		{"a title and no sound", nil, emergency.Text{Title: "演练通知"}, asrun.UsedSpeech},
	} {
		a := emergency.Alert{Audio: c.audio, Texts: []emergency.Text{c.text}}
		if got := a.Sounding(true).First(true); got != c.want {
			t.Errorf("%s: aired as %s, want %s", c.name, got, c.want)
		}
	}
}
