package controller

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"dalaba/alert"
	"dalaba/controller/files"
	"dalaba/controller/site"
	"dalaba/data"
	"dalaba/ingest"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// alerts takes emergency messages from their bytes to the sirens, and makes the
// sounds that the alarm asks for.
type alerts struct {
	alarm  *player.Alarm
	store  *data.Store
	config func() *config.Config
	now    func() time.Time // zero: the clock is not trusted
	log    *slog.Logger

	// sounds are alerts whose own sound is to be made into a clip. That takes
	// longer than the one who hands a message in stays connected.
	sounds chan emergency.Record

	aside *aside
	work  sync.WaitGroup // clips that are being stored

	speaking sync.Mutex                   // one speaker at a time: the machine is small
	made     map[string]player.AlertSound // speech by its text

	mu      sync.Mutex
	damaged map[playlist.AlertID]playlist.Clip // of damaged sounds of alerts that have text
	unsaid  map[playlist.AlertID]bool          // alerts whose text could not be spoken
}

func newAlerts(p *player.Player, store *data.Store, cfg func() *config.Config, log *slog.Logger) *alerts {
	a := &alerts{store: store, config: cfg, log: log, sounds: make(chan emergency.Record), made: map[string]player.AlertSound{}, aside: newAside()}
	a.damaged, a.unsaid = map[playlist.AlertID]playlist.Clip{}, map[playlist.AlertID]bool{}
	a.alarm = player.NewAlarm(p, store, a)
	a.now = func() time.Time {
		if p.Trust() != playlist.ClockTrusted {
			return time.Time{}
		}
		return p.Wall()
	}
	return a
}

// ReadAlert reads a message as the site reads it now, if its clock is right. A
// document that is no alert is an error.
func ReadAlert(ctx context.Context, raw []byte, c config.Alert) (alert.Message, error) {
	return readAlert(ctx, raw, c, time.Now())
}

// readAlert is [ReadAlert] at that time; zero: the clock is not trusted.
func readAlert(ctx context.Context, raw []byte, c config.Alert, now time.Time) (alert.Message, error) {
	o, faults := site.Senders(c)
	o.Now = now
	m, err := alert.Parse(ctx, raw, o)
	if err != nil {
		return m, err
	}
	if m.Kind != alert.KindAlert && m.Kind != alert.KindEBM {
		return m, say.M("alerts.no_alert", string(m.Kind))
	}
	if m.Alert.Signature.State != emergency.SignatureVerified { // perhaps by one of those
		m.Warnings = append(m.Warnings, faults...)
	}
	return m, nil
}

// RecordOf returns a message as the book enters it. A sound that did not come along
// is not waited for: a controller does not fetch it.
func RecordOf(m alert.Message, by playlist.AlertSource) emergency.Record {
	r := emergency.Record{Alert: m.Alert, Source: by}
	r.Silent = m.Silent.Key != ""
	r.Audio = nil
	for _, a := range m.Alert.Audio {
		if len(a.Data)+len(a.Unfit) > 0 {
			r.Audio = append(r.Audio, a)
		}
	}
	return r
}

// Remarks are what an operator should know of an alert as the book has it, beside
// its state and the warnings about its form.
func Remarks(r emergency.Record) (all []say.Message) {
	if r.Late {
		all = append(all, say.M("alerts.late"))
	}
	if r.Cut() {
		all = append(all, say.M("alerts.cut"))
	}
	if r.Clock == playlist.ClockUntrusted {
		all = append(all, say.M("alerts.clock"))
	}
	for _, id := range r.Spared {
		all = append(all, say.M("alerts.spared", string(id)))
	}
	return all
}

// take takes a message in: first its meaning, so that it sounds, then the
// clip that is made of what came with it.
func (a *alerts) take(ctx context.Context, raw []byte, by playlist.AlertSource) (emergency.Record, bool, error) {
	m, err := readAlert(ctx, raw, a.config().Alert, a.now())
	if err != nil {
		return emergency.Record{}, false, err
	}
	return a.enter(ctx, RecordOf(m, by), raw, m.Warnings)
}

// enter enters a record with its message, and has its own sound made.
func (a *alerts) enter(ctx context.Context, r emergency.Record, raw []byte, warnings []say.Message) (emergency.Record, bool, error) {
	got, known, err := a.alarm.Receive(ctx, r, raw)
	if err != nil && !errors.Is(err, player.ErrNotStored) {
		return got, known, err
	}
	if !known {
		a.tell(got, warnings)
	}
	if !got.State.Over() && got.Clip == nil && len(r.Audio) > 0 {
		select {
		case a.sounds <- r:
		case <-ctx.Done():
		}
	}
	return got, known, err
}

// tell logs what is wrong with the form of an alert and with its sounds.
func (a *alerts) tell(r emergency.Record, warnings []say.Message) {
	for _, w := range warnings {
		a.log.Warn("alert differs from its format", "alert", r.ID, "err", w)
	}
	for _, d := range r.Dropped {
		a.log.Warn("alert sound in doubt", "alert", r.ID, "name", d.Name, "err", say.M(d.Why))
	}
}

// unmade returns the alerts in force whose own sound the last run of the daemon
// did not make.
func (a *alerts) unmade(ctx context.Context) (all []emergency.Record) {
	records, err := a.store.Alerts(ctx)
	for _, kept := range records {
		if kept.State.Over() || kept.Clip != nil || kept.Source == playlist.AlertByLink {
			continue
		}
		raw, rerr := a.store.AlertRaw(ctx, kept.ID)
		if rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		m, rerr := readAlert(ctx, raw, a.config().Alert, time.Time{})
		if rerr != nil {
			continue
		}
		m.Alert.Signature = kept.Signature // an alert in force outlives its certificate
		if r := RecordOf(m, kept.Source); len(r.Audio) > 0 {
			all = append(all, r)
		}
	}
	if err != nil && ctx.Err() == nil {
		a.log.Error("alerts cannot be read", "err", err)
	}
	return all
}

// convert makes the air clip of an alert's own sound, and notes that it is there,
// or that none is to come. A damaged sound becomes the alert's clip only if there is
// no text; beside a text it is kept for when nothing can speak that.
func (a *alerts) convert(ctx context.Context, r emergency.Record) {
	s := r.Sounding(a.config().Alerts)
	whole, damaged := a.clipOf(ctx, &r, s)
	if ctx.Err() != nil {
		return // it is made after the next start
	}
	switch {
	case whole != nil:
		r.Clip = whole
	case damaged != nil && !s.Words:
		r.Clip = damaged
	case damaged != nil:
		a.mu.Lock()
		a.damaged[r.ID] = *damaged
		a.mu.Unlock()
	}
	if r.Clip == nil {
		r.Audio = nil
	}
	if _, _, err := a.alarm.Receive(ctx, r, nil); err != nil && ctx.Err() == nil {
		a.log.Error("alert sound not stored", "alert", r.ID, "err", err)
	}
}

// clipOf makes a clip of the first of an alert's sounds that is whole; if none is,
// of the first that is damaged. What is wrong with the others is noted in the
// record.
func (a *alerts) clipOf(ctx context.Context, r *emergency.Record, s emergency.Sounding) (whole, damaged *playlist.Clip) {
	drop := func(sound emergency.Audio, why string, err error) {
		a.log.Error("alert sound unusable", "alert", r.ID, "name", sound.Name, "err", err)
		r.Dropped = append(r.Dropped, emergency.Dropped{Name: sound.Name, Why: why})
	}
	for _, sound := range s.Own {
		clip, figures, err := a.clips().Convert(ctx, r.Alert, sound)
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case err != nil:
			drop(sound, emergency.SoundUseless, err)
		case figures.Damaged() == nil:
			return &clip, nil
		default:
			drop(sound, emergency.SoundDamaged, figures.Damaged())
			damaged = cmp.Or(damaged, &clip)
		}
	}
	for _, sound := range s.Damaged {
		if damaged != nil {
			break
		}
		clip, _, err := a.clips().Convert(ctx, r.Alert, sound)
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case err != nil:
			drop(sound, emergency.SoundUseless, err)
		default:
			damaged = &clip
		}
	}
	return nil, damaged
}

// inNeed is the clip of an alert's damaged sound, if nothing could speak its text.
func (a *alerts) inNeed(id playlist.AlertID) (c playlist.Clip, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok = a.damaged[id]
	return c, ok && a.unsaid[id]
}

// clips returns a maker of clips as the config in force says.
func (a *alerts) clips() ingest.AlertClips {
	return ingest.AlertClips{Ingester: site.NewIngester(a.config().Ingest, roomy()), Shelve: a.shelve}
}

var errNoSound = errors.New("no such sound")

// Sound returns the alert in one of its forms.
func (a *alerts) Sound(ctx context.Context, r emergency.Record, as asrun.Used) (player.AlertSound, error) {
	switch as {
	case asrun.UsedClip:
		clip := r.Clip
		if damaged, ok := a.inNeed(r.ID); clip == nil && ok {
			clip = &damaged
		}
		if clip == nil {
			return player.AlertSound{}, errNoSound
		}
		return a.find(ctx, clip.ID)
	case asrun.UsedSpeech:
		language := a.config().Site.Language
		t, _ := r.Text(language)
		sound, err := a.speak(ctx, r.Spoken(language), t.Language, r.Headline())
		if err != nil && ctx.Err() == nil {
			a.mu.Lock()
			a.unsaid[r.ID] = true
			a.mu.Unlock()
		}
		return sound, err
	case asrun.UsedPreamble:
		lang := say.Choose(a.config().Site.Language)
		return a.speak(ctx, say.M("alerts.preamble").In(lang), string(lang), say.M("alerts.preamble_title").In(lang))
	case asrun.UsedGeneric:
		return a.generic(r.EventCode)
	}
	return player.AlertSound{}, errNoSound
}

// speak makes a clip of words, or returns the one made before.
func (a *alerts) speak(ctx context.Context, text, language, title string) (player.AlertSound, error) {
	if text == "" {
		return player.AlertSound{}, errNoSound
	}
	a.speaking.Lock()
	defer a.speaking.Unlock()
	if s, ok := a.made[text]; ok {
		if _, err := os.Stat(s.Path); err == nil {
			return s, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, speakWithin)
	defer cancel()
	clip, err := a.clips().Speak(ctx, text, language, title)
	if err != nil {
		return player.AlertSound{}, err
	}
	s, err := a.find(ctx, clip.ID)
	if err == nil {
		s.Clip = clip // the library may know it by another title
		a.made[text] = s
	}
	return s, err
}

// find returns a clip of the store or one that is held aside.
func (a *alerts) find(ctx context.Context, id playlist.ClipID) (player.AlertSound, error) {
	c, path, err := a.store.Clip(ctx, id)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		if s, ok := a.aside.sound(id); ok {
			return s, nil
		}
	}
	return player.AlertSound{Clip: c, Path: path}, err
}

// speakWithin bounds the making of speech: a minute of it takes seconds.
const speakWithin = 2 * time.Minute

// genericPath is the file that the config has for a kind of event; empty: none.
func genericPath(c config.Alert, code string) string {
	return cmp.Or(c.Generic[code], c.Generic["default"])
}

// generic returns the clip that the config has for a kind of event.
func (a *alerts) generic(code string) (player.AlertSound, error) {
	path := genericPath(a.config().Alert, code)
	if path == "" {
		return player.AlertSound{}, errNoSound
	}
	info, err := files.Scan(path)
	if err != nil {
		return player.AlertSound{}, err
	}
	return player.AlertSound{Clip: playlist.Clip{ID: info.ID, Frames: info.Frames, Size: info.Size}, Path: path}, nil
}

// needs returns the clips of alerts in force, which are not given up for their
// room.
func (a *alerts) needs(ctx context.Context) map[playlist.ClipID]bool {
	needed := map[playlist.ClipID]bool{}
	all, err := a.alarm.Records(ctx)
	if err != nil {
		return needed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	quiet := true
	for _, r := range all {
		if r.State.Over() {
			delete(a.damaged, r.ID)
			delete(a.unsaid, r.ID)
			continue
		}
		quiet = false
		if r.Clip != nil {
			needed[r.Clip.ID] = true
		}
		if c, ok := a.damaged[r.ID]; ok {
			needed[c.ID] = true
		}
	}
	a.aside.tidy(needed, quiet)
	return needed
}

// run sounds alerts, and makes clips of what comes along with them, until ctx
// ends.
func (a *alerts) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.aside.close()) }()
	defer a.work.Wait()
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		for _, r := range a.unmade(ctx) {
			work.Go(func() { a.convert(ctx, r) })
		}
		for {
			select {
			case r := <-a.sounds:
				work.Go(func() { a.convert(ctx, r) })
			case <-ctx.Done():
				return
			}
		}
	})
	return a.alarm.Run(ctx)
}

// ReadMessage reads a message's file, within bounds; it must be a regular file and
// no link to one.
func ReadMessage(path string) ([]byte, error) {
	if fi, err := os.Lstat(path); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, say.M("cli.not_a_file")
	}
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	raw, err := readMessage(f)
	return raw, errors.Join(err, f.Close())
}

// readMessage reads an open file that is to hold a message.
func readMessage(f *os.File) ([]byte, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	large := fi.Size() > alert.MaxTar
	var raw []byte
	if !large {
		raw, err = io.ReadAll(io.LimitReader(f, alert.MaxTar+1))
	}
	switch {
	case large || len(raw) > alert.MaxTar:
		return nil, say.M("alerts.too_large", alert.MaxTar>>20)
	case err == nil && len(bytes.TrimSpace(raw)) == 0:
		err = say.M("alerts.empty")
	}
	return raw, err
}
