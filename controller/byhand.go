package controller

import (
	"context"
	"crypto/rand" // the digest that CAP has
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dalaba/alert"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Bounds of an alert by hand.
const (
	MaxHandText  = 2000            // characters; spoken, that is about eight minutes
	maxHandTitle = 100             // characters
	maxHandSound = 4 << 20         // bytes of the air clip: about eight minutes
	minHandLife  = time.Minute     // for how long it is in force
	maxHandLife  = 720 * time.Hour // as the life of any alert
	maxHandEvent = 20              // characters of the text that name the alert
)

// ByHand is an alert that a person at the site makes.
type ByHand struct {
	Text  string // to be spoken; with a Sound only if that cannot be aired
	Title string // spoken before the text
	Level emergency.Level
	Drill bool
	Life  time.Duration // 0: as the site's config says

	Sound     []byte // an air clip; nil: none
	SoundName string // of the file that it was made from

	Update *emergency.Record // whose place it takes; nil: nothing's
	User   string            // the unix user who makes it
}

// Check returns what is wrong with the alert, for who makes it.
func (h ByHand) Check() error {
	switch {
	case strings.TrimSpace(h.Text) == "" && len(h.Sound) == 0:
		return say.M("alerts.hand_empty")
	case utf8.RuneCountInString(h.Text) > MaxHandText:
		return say.M("alerts.hand_long", utf8.RuneCountInString(h.Text), MaxHandText)
	case utf8.RuneCountInString(h.Title) > maxHandTitle:
		return say.M("alerts.hand_long_title", utf8.RuneCountInString(h.Title), maxHandTitle)
	case len(h.Sound) > maxHandSound:
		return say.M("alerts.hand_big", float64(len(h.Sound))/(1<<20), maxHandSound>>20)
	case h.Level < emergency.Red || h.Level > emergency.Blue:
		return say.M("alerts.hand_level")
	case h.Life != 0 && (h.Life < minHandLife || h.Life > maxHandLife):
		return say.M("alerts.hand_life", h.Life)
	}
	return nil
}

// Message writes the alert as CAP 1.2, from and for the site, as of now.
func (h ByHand) Message(p *playlist.Programme, now time.Time) ([]byte, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	var serial [6]byte
	_, _ = rand.Read(serial[:]) // it never fails
	now = now.Truncate(time.Second)
	life := h.Life
	if life == 0 {
		life = p.Alerts.Filled().Life
	}
	a := emergency.Alert{
		Identifier: fmt.Sprintf("hand-%s-%s-%s", p.Site.Area, now.UTC().Format("20060102T150405Z"), hex.EncodeToString(serial[:])),
		Sender:     "local:" + token(h.User), SenderName: p.Site.Name, Sent: now, NotAfter: now.Add(life),
		Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: h.Level, Event: h.event(), Areas: ownAreas(p),
		Texts: []emergency.Text{{
			Language: string(say.Choose(p.Site.Language)), Title: strings.TrimSpace(h.Title), Text: strings.TrimSpace(h.Text),
		}},
	}
	if h.Drill {
		a.Class = emergency.ClassDrillActual
	}
	if h.Update != nil {
		a.Kind, a.Refs = emergency.KindUpdate, references(*h.Update)
	}
	if h.Sound != nil {
		a.Audio = []emergency.Audio{{Name: h.SoundName, MediaType: "audio/mpeg", Data: h.Sound}}
	}
	return alert.WriteCAP(a, p.Site.Zone)
}

// event names the alert in a few words, which are not spoken if it has others.
func (h ByHand) event() string {
	name := strings.TrimSpace(h.Title)
	if name == "" {
		name = strings.TrimSpace(h.Text)
	}
	if name == "" {
		name = strings.TrimSuffix(h.SoundName, filepath.Ext(h.SoundName))
	}
	name, _, _ = strings.Cut(name, "\n")
	if r := []rune(name); len(r) > maxHandEvent {
		name = string(r[:maxHandEvent-1]) + "…"
	}
	return name
}

// ownAreas are the areas of the site and of its outputs.
func ownAreas(p *playlist.Programme) (all []playlist.Area) {
	add := func(a playlist.Area) {
		if a != "" && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	add(p.Site.Area)
	for _, o := range p.Outputs {
		add(o.Area)
	}
	return all
}

// references is how CAP refers to an alert; none for one that did not come as CAP.
func references(r emergency.Record) []playlist.AlertID {
	if id := playlist.AlertID(r.Sender + "," + r.Identifier + ","); r.Sender == "" || r.Identifier == "" || r.ID.Timeless() != id {
		return nil
	}
	return []playlist.AlertID{r.ID}
}

// token makes a name fit for a CAP sender, which holds no blanks, commas, < or &.
func token(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.@", r) {
			return r
		}
		return '-'
	}, name)
	if name == "" {
		return "-"
	}
	return name
}

// ReadHandText reads a text to be spoken out of a file in UTF-8, UTF-16 or GBK.
func ReadHandText(path string) (string, error) {
	raw, err := ReadMessage(path)
	if err != nil {
		return "", err
	}
	text := ingest.DecodeText(raw)
	if strings.TrimSpace(text) == "" || strings.IndexByte(text, 0) >= 0 {
		return "", say.M("ingest.text_broken")
	}
	return strings.TrimSpace(text), nil
}

// HandClip makes the air clip of a sound file: what could not be aired is refused
// before anything sounds.
func HandClip(ctx context.Context, c config.Ingest, path string) (data []byte, clip playlist.Clip, err error) {
	res, err := site.NewIngester(c, "").Urgent().File(ctx, path, ingest.Meta{}, nil)
	if err != nil {
		return nil, clip, err
	}
	data, err = os.ReadFile(res.Path)
	return data, res.Clip, errors.Join(err, os.Remove(res.Path))
}

// SpokenLength makes the speech of an alert to learn how long it is, in frames, and
// whether it can be spoken at all.
func SpokenLength(ctx context.Context, c *config.Config, a emergency.Alert) (frames int64, err error) {
	t, _ := a.Text(c.Site.Language)
	words := a.Spoken(c.Site.Language)
	res, err := site.NewIngester(c.Ingest, "").Urgent().Text(ctx, words, ingest.Meta{Title: a.Headline(), Language: t.Language, Text: words}, nil)
	if err != nil {
		return 0, err
	}
	return res.Clip.Frames, os.Remove(res.Path)
}

// takeMade takes in an alert that was made at the site, in the place of those that
// it names.
func (a *alerts) takeMade(ctx context.Context, raw []byte, retires []playlist.AlertID) (emergency.Record, bool, error) {
	m, err := ReadAlert(ctx, raw, a.config().Alert)
	if err != nil {
		return emergency.Record{}, false, err
	}
	return a.enter(ctx, MadeRecord(m, retires), raw, m.Warnings)
}

// SoundMade is [Controller.Run] until an alert that was made at the site is over or ctx
// ends: for when no daemon runs. report is called once it is taken in. If ctx ends
// first, the alert stays in force, and sounds on from the next start.
func (c *Controller) SoundMade(ctx context.Context, raw []byte, retires []playlist.AlertID, report func(control.Taken)) (r emergency.Record, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- c.Run(ctx)
	}()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	got, err := c.TakeMade(ctx, raw, retires)
	if err != nil {
		return got.Record, err
	}
	report(got)
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for r = got.Record; !r.State.Over(); {
		select {
		case <-look.C:
		case <-ctx.Done():
			return r, nil
		}
		all, err := c.alerts.alarm.Records(ctx)
		if i := slices.IndexFunc(all, func(x emergency.Record) bool { return x.ID == r.ID }); err == nil && i >= 0 {
			r = all[i]
		}
	}
	return r, nil
}

// MadeRecord is [RecordOf] a message that was made at the site. retires are the alerts
// whose place it takes: CAP has no reference to a message that is no CAP.
func MadeRecord(m alert.Message, retires []playlist.AlertID) emergency.Record {
	r := RecordOf(m, playlist.AlertAtSite)
	for _, id := range retires {
		if !slices.Contains(r.Refs, id) {
			r.Refs = append(r.Refs, id)
		}
	}
	return r
}
