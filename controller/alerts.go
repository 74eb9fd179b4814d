package controller

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
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
	log    *slog.Logger

	// sounds are alerts whose own sound is to be made into a clip. That takes
	// longer than the one who hands a message in stays connected.
	sounds chan emergency.Record

	mu   sync.Mutex
	made map[string]player.AlertSound // speech by its text
}

func newAlerts(p *player.Player, store *data.Store, cfg func() *config.Config, log *slog.Logger) *alerts {
	a := &alerts{store: store, config: cfg, log: log, sounds: make(chan emergency.Record), made: map[string]player.AlertSound{}}
	a.alarm = player.NewAlarm(p, store, a)
	return a
}

// maxAnchor is the largest file of certificates or keys that is read.
const maxAnchor = 4 << 20

// trusted returns whose signatures the site believes. The error names files that
// cannot be read; what the others vouch for still holds.
func trusted(c config.Alert) (o alert.Options, err error) {
	var faults []error
	each := func(paths []string, take func([]byte) error) {
		for _, path := range paths {
			b, err := files.Read(path, maxAnchor)
			if err == nil {
				err = take(b)
			}
			if err != nil {
				faults = append(faults, say.M("alerts.bad_anchor", path, err))
			}
		}
	}
	each(c.Anchors, func(b []byte) error {
		found := false
		for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return err
			}
			found = true
			o.Anchors = append(o.Anchors, cert)
		}
		if !found {
			return say.M("alerts.no_pem")
		}
		return nil
	})
	each(c.EBD, func(b []byte) error {
		cert, err := alert.ParseCertificate(b)
		o.Certificates = append(o.Certificates, cert)
		return err
	})
	each(c.EBDCA, func(b []byte) error {
		key, err := alert.ParsePublicKey(b)
		o.Authorities = append(o.Authorities, key)
		return err
	})
	return o, errors.Join(faults...)
}

// ReadAlert reads a message as the site reads it. A document that is no alert is
// an error.
func ReadAlert(raw []byte, c config.Alert) (alert.Message, error) {
	o, err := trusted(c)
	if err != nil {
		return alert.Message{}, err
	}
	m, err := alert.Parse(raw, o)
	if err != nil {
		return m, err
	}
	if m.Kind != alert.KindAlert && m.Kind != alert.KindEBM {
		return m, say.M("alerts.no_alert", string(m.Kind))
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
		if len(a.Data) > 0 {
			r.Audio = append(r.Audio, a)
		}
	}
	return r
}

// take takes a message in: first its meaning, so that it sounds, then the
// clip that is made of what came with it.
func (a *alerts) take(ctx context.Context, raw []byte, by playlist.AlertSource) (emergency.Record, bool, error) {
	m, err := ReadAlert(raw, a.config().Alert)
	if err != nil {
		return emergency.Record{}, false, err
	}
	r := RecordOf(m, by)
	got, known, err := a.alarm.Receive(ctx, r, raw)
	if err != nil && !errors.Is(err, player.ErrNotStored) {
		return got, known, err
	}
	if !got.State.Over() && got.Clip == nil && len(r.Audio) > 0 {
		select {
		case a.sounds <- r:
		case <-ctx.Done():
		}
	}
	return got, known, err
}

// unmade returns the alerts in force whose own sound the last run of the daemon
// did not make.
func (a *alerts) unmade(ctx context.Context) (all []emergency.Record) {
	records, _, err := a.store.Alerts(ctx)
	for _, kept := range records {
		if kept.State.Over() || kept.Clip != nil || kept.Source != playlist.AlertByHand && kept.Source != playlist.AlertByDrop {
			continue
		}
		raw, rerr := a.store.AlertRaw(ctx, kept.ID)
		if rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		if m, rerr := ReadAlert(raw, a.config().Alert); rerr == nil && len(RecordOf(m, kept.Source).Audio) > 0 {
			all = append(all, RecordOf(m, kept.Source))
		}
	}
	if err != nil && ctx.Err() == nil {
		a.log.Error("alerts cannot be read", "err", err)
	}
	return all
}

// convert makes the air clip of an alert's own sound, and notes that it is there,
// or that none is to come.
func (a *alerts) convert(ctx context.Context, r emergency.Record) {
	for _, sound := range r.Audio {
		clip, _, err := a.clips().Convert(ctx, r.Alert, sound)
		if ctx.Err() != nil {
			return // it is made after the next start
		}
		if err == nil {
			r.Clip = &clip
			break
		}
		a.log.Error("alert sound unusable", "alert", r.ID, "name", sound.Name, "err", err)
	}
	if r.Clip == nil {
		r.Audio = nil
	}
	if _, _, err := a.alarm.Receive(ctx, r, nil); err != nil && ctx.Err() == nil {
		a.log.Error("alert sound not stored", "alert", r.ID, "err", err)
	}
}

// clips returns a maker of clips as the config in force says.
func (a *alerts) clips() ingest.AlertClips {
	return ingest.AlertClips{Ingester: site.NewIngester(a.config().Ingest, ""), Shelve: a.store.AddClip}
}

var errNoSound = errors.New("no such sound")

// Sound returns the alert in one of its forms.
func (a *alerts) Sound(ctx context.Context, r emergency.Record, as asrun.Used) (player.AlertSound, error) {
	switch as {
	case asrun.UsedClip:
		if r.Clip == nil {
			return player.AlertSound{}, errNoSound
		}
		clip, path, err := a.store.Clip(ctx, r.Clip.ID)
		if err == nil {
			_, err = os.Stat(path)
		}
		return player.AlertSound{Clip: clip, Path: path}, err
	case asrun.UsedSpeech:
		language := a.config().Site.Language
		t, _ := r.Text(language)
		return a.speak(ctx, r.Spoken(language), t.Language, r.Headline())
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
	a.mu.Lock()
	defer a.mu.Unlock() // one speaker at a time: the machine is small
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
	s := player.AlertSound{Clip: clip, Path: a.store.ClipPath(clip.ID)}
	a.made[text] = s
	return s, nil
}

// speakWithin bounds the making of speech: a minute of it takes seconds.
const speakWithin = 2 * time.Minute

// generic returns the clip that the config has for a kind of event.
func (a *alerts) generic(code string) (player.AlertSound, error) {
	generic := a.config().Alert.Generic
	path := generic[code]
	if path == "" {
		path = generic["default"]
	}
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
	for _, r := range all {
		if r.Clip != nil && !r.State.Over() {
			needed[r.Clip.ID] = true
		}
	}
	return needed
}

// run sounds alerts, and makes clips of what comes along with them, until ctx
// ends.
func (a *alerts) run(ctx context.Context) error {
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
func ReadMessage(path string) (raw []byte, err error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, say.M("cli.not_a_file")
	}
	if fi.Size() > alert.MaxTar {
		return nil, say.M("alerts.too_large", alert.MaxTar>>20)
	}
	raw, err = files.Read(path, alert.MaxTar)
	if err == nil && len(bytes.TrimSpace(raw)) == 0 {
		err = say.M("alerts.empty")
	}
	return raw, err
}
