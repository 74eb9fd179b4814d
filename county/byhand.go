package county

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

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

	// Template is the name of a template from which comes what is left out here, and Set
	// what fills its blanks in.
	Template string            `json:"template,omitempty"`
	Set      map[string]string `json:"set,omitempty"`
}

// ParseLevel reads a level as people write it.
func ParseLevel(text string) (emergency.Level, error) {
	l, ok := emergency.ParseLevel(text)
	if !ok {
		return 0, invalid("county.alert_level", plain(text))
	}
	return l, nil
}

// Bounds of an alert by hand.
const (
	longestLife = 7 * 24 * time.Hour
	mostPasses  = 1000
)

// check reports what is wrong with the alert, whatever its scopes. sounds says that it has
// a sound already.
func (h ByHand) check(sounds bool) error {
	sounds = sounds || len(h.Audio) > 0
	switch {
	case strings.TrimSpace(h.Text) == "" && !sounds:
		return invalid("county.alert_empty")
	case !emergency.HasWords(h.Text) && !sounds:
		return invalid("county.alert_wordless")
	case !h.Class.Known():
		return invalid("county.alert_class", plain(string(h.Class)), Joined(emergency.Classes()))
	case h.Level == 0:
		return invalid("county.alert_no_level")
	case h.Level < emergency.Red || h.Level > emergency.Blue:
		return invalid("county.alert_level", strconv.Itoa(int(h.Level)))
	case h.Life < 0 || h.Life > longestLife || h.Passes < 0 || h.Passes > mostPasses:
		return invalid("county.alert_bounds")
	}
	return nil
}

// areas lists the areas that the alert is for; none if it is for groups or
// controllers. It may not be for both.
func (h ByHand) areas(b base) (all []playlist.Area, err error) {
	if len(h.Scopes) == 0 {
		return nil, invalid("county.alert_nobody")
	}
	for _, s := range h.Scopes {
		if _, err := playlist.ParseScope(string(s)); err != nil {
			return nil, err
		}
		if area, ok := s.Area(); ok {
			if !area.Within(b.area) {
				return nil, invalid("county.not_ours", string(area), string(b.area))
			}
			all = append(all, area)
		}
	}
	if len(all) > 0 && len(all) < len(h.Scopes) {
		return nil, invalid("county.alert_mixed")
	}
	return all, nil
}

func (h ByHand) sound() []emergency.Audio {
	if len(h.Audio) == 0 {
		return nil
	}
	return []emergency.Audio{{Name: h.AudioName, Size: int64(len(h.Audio)), Data: h.Audio}}
}

// message makes a message of an alert by hand, which takes the place of old if that is
// given. What is left out then is that of old.
func (a *alerts) message(ctx context.Context, h ByHand, old *store.Alert) (in incoming, err error) {
	now := a.now()
	var serial [6]byte
	_, _ = rand.Read(serial[:]) // it never fails
	msg := emergency.Alert{
		ID: playlist.AlertID(fmt.Sprintf("hand-%s-%s", now.Format("20060102T150405Z"), hex.EncodeToString(serial[:]))), Format: "hand",
		Sender: a.name, SenderName: cmp.Or(h.By, a.name), Sent: now, Kind: emergency.KindRequest, NotBefore: now,
		NotAfter: now.Add(cmp.Or(h.Life, a.rules.life())), Signature: emergency.Signature{State: emergency.SignatureAbsent},
	}
	in = incoming{Source: FromHand, Detail: store.AlertDetail{Scopes: h.Scopes}}
	if old != nil {
		h = a.inPlaceOf(ctx, *old, h, &msg, &in)
	}
	h.Class = cmp.Or(h.Class, emergency.ClassEmergency)
	if err := h.check(in.Detail.Clip != nil); err != nil {
		return in, err
	}
	if old == nil || len(h.Scopes) > 0 {
		if msg.Areas, err = h.areas(a.base); err != nil {
			return in, err
		}
	}
	msg.Class, msg.Level, msg.Event, msg.Passes, msg.Audio = h.Class, h.Level, h.Event, h.Passes, h.sound()
	if len(msg.Texts) == 0 && strings.TrimSpace(h.Title+h.Text) != "" {
		msg.Texts = []emergency.Text{{Language: "zh-CN", Title: h.Title, Text: h.Text}}
	}
	in.Alert, in.Cuts = msg.Bounded()
	in.Raw, err = json.Marshal(h)
	return in, err
}

// inPlaceOf makes the message one that takes the place of an alert, and returns h with
// what it leaves out. Words and sound go together: if either is given, neither is that
// of old, except the text beside a new sound.
func (a *alerts) inPlaceOf(ctx context.Context, old store.Alert, h ByHand, msg *emergency.Alert, in *incoming) ByHand {
	msg.Kind, msg.Refs = emergency.KindUpdate, []playlist.AlertID{old.ID}
	if h.Life == 0 {
		msg.NotAfter = old.Ends
	}
	if h.Event == "" || h.Event == old.Event {
		msg.EventCode = old.EventCode
	}
	if len(h.Scopes) == 0 {
		if msg.Areas, msg.Shapes, msg.Elsewhere = old.Areas, old.Shapes, old.Elsewhere; len(old.Areas)+len(old.Shapes) == 0 {
			in.Detail.Scopes = old.Detail.Scopes
		}
	}
	text, _ := old.Text("zh-CN")
	titled := h.Title != "" && h.Title != text.Title
	if h.Text == "" && titled && !old.Detail.Spoken { // the title of a recording is not heard
		text.Title = h.Title
		msg.Texts = []emergency.Text{text}
	} else if h.Text == "" && !titled {
		msg.Texts = old.Texts
	}
	if len(msg.Texts) > 0 {
		switch whole := withSound(ctx, old); {
		case len(h.Audio) > 0:
		case old.Detail.Clip != nil:
			in.Detail.Clip, in.Detail.Spoken, in.Detail.NoClip = old.Detail.Clip, old.Detail.Spoken, old.Detail.NoClip
			in.Sound = &SoundPreview{Used: asrun.UsedClip, Name: old.Detail.Clip.Title, Length: old.Detail.Clip.Length()}
			if old.Detail.Spoken {
				in.Sound.Used = asrun.UsedSpeech
			}
		default:
			if i := slices.IndexFunc(whole.Audio, func(x emergency.Audio) bool { return len(x.Data) > 0 }); i >= 0 {
				h.Audio, h.AudioName = whole.Audio[i].Data, whole.Audio[i].Name
			}
		}
	}
	h.Title, h.Text, h.Event = cmp.Or(h.Title, text.Title), cmp.Or(h.Text, text.Text, text.Advice), cmp.Or(h.Event, old.Event)
	h.Class, h.Level, h.Passes = cmp.Or(h.Class, old.Class), cmp.Or(h.Level, old.Level), cmp.Or(h.Passes, old.Passes)
	return h
}

// takeByHand sounds an alert that an operator wrote.
func (a *alerts) takeByHand(ctx context.Context, h ByHand, d Desk) (Verdict, error) {
	h, err := a.withTemplate(h)
	if err != nil {
		return Verdict{}, err
	}
	in, err := a.message(ctx, h, nil)
	if err != nil {
		return Verdict{}, err
	}
	return a.takeWritten(ctx, in, d)
}

// takeWritten takes in what an operator wrote, unless its sound cannot be aired: who chose
// it can choose another.
func (a *alerts) takeWritten(ctx context.Context, in incoming, d Desk) (Verdict, error) {
	if in.Sound == nil {
		var err error
		if in.Sound, err = a.sounds.prove(ctx, in.Alert, FromHand); err != nil {
			return Verdict{}, err
		}
		if in.Sound != nil {
			if err := in.Sound.unusable(); err != nil {
				return Verdict{}, err
			}
		}
	}
	return a.takeAtDesk(ctx, in, d)
}

// updateByHand puts what an operator wrote in the place of an alert.
func (a *alerts) updateByHand(ctx context.Context, id playlist.AlertID, h ByHand, d Desk) (v Verdict, err error) {
	old, err := a.store.Alert(ctx, id)
	if err != nil {
		return v, noAlert(err, id)
	}
	if old.State.Over() {
		return v, invalid("county.update_over", string(id), say.Word("county.alert_", string(old.State)))
	}
	if h, err = a.withTemplate(h); err != nil {
		return v, err
	}
	in, err := a.message(ctx, h, &old)
	if err != nil {
		return v, err
	}
	if !in.Alert.MayEnd(emergency.ProofSealed, old.Alert, old.Proof(), a.rules.Retirers) {
		return v, invalid("county.update_class", say.Word("alerts.class_", string(in.Alert.Class)), say.Word("alerts.class_", string(old.Class)))
	}
	v, err = a.takeWritten(ctx, in, d)
	v.Changes = updated(old, in.Alert, v)
	return v, err
}

// updated lists what an update changes of an alert.
func updated(old store.Alert, now emergency.Alert, v Verdict) (all []Field) {
	if v.Preview == nil {
		return nil
	}
	was, is := old.Alert, now
	for _, f := range []Field{
		{"level", strconv.Itoa(int(was.Level)), strconv.Itoa(int(is.Level))},
		{"class", string(was.Class), string(is.Class)},
		{"event", was.Event, is.Event},
		{"words", was.Spoken("zh-CN"), is.Spoken("zh-CN")},
		{"scopes", Joined(old.Detail.Scopes), Joined(v.Scopes)},
		{"passes", strconv.Itoa(was.Passes), strconv.Itoa(is.Passes)},
		{"sound", soundName(old), v.Preview.Sound.recording()},
		{"ends", old.Ends.Truncate(time.Minute).Format(time.RFC3339), v.Preview.Ends.Truncate(time.Minute).Format(time.RFC3339)},
	} {
		if f.Was != f.Now {
			all = append(all, f)
		}
	}
	return all
}

// soundName names the recording that an alert is aired with; empty if it has none.
func soundName(a store.Alert) string {
	switch {
	case a.Detail.Spoken:
		return ""
	case len(a.Audio) > 0:
		return cmp.Or(a.Audio[0].Name, "-")
	case a.Detail.Clip != nil:
		return cmp.Or(a.Detail.Clip.Title, "-")
	}
	return ""
}

// recording names the recording; empty if there is none.
func (s SoundPreview) recording() string {
	if s.Used != asrun.UsedClip {
		return ""
	}
	return cmp.Or(s.Name, "-")
}

// cancelByHand ends an alert.
func (a *alerts) cancelByHand(ctx context.Context, id playlist.AlertID) (Verdict, error) {
	ctx = context.WithoutCancel(ctx)
	old, err := a.store.Alert(ctx, id)
	if err != nil {
		return Verdict{}, noAlert(err, id)
	}
	now := a.now()
	cancel := emergency.Alert{
		ID: playlist.AlertID(fmt.Sprintf("hand-%s-cancel-%s", now.Format("20060102T150405.000000Z"), old.ID)), Format: "hand", Sender: a.name, Sent: now,
		Kind: emergency.KindCancel, Class: old.Class, Level: old.Level, Areas: old.Areas, Refs: []playlist.AlertID{id},
		Signature: emergency.Signature{State: emergency.SignatureAbsent},
	}
	return a.take(ctx, incoming{Alert: cancel, Source: FromHand})
}

// noAlert puts into words that there is no such alert.
func noAlert(err error, id playlist.AlertID) error {
	return missing(err, "county.no_alert", string(id))
}
