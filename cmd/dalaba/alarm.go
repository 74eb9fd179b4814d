package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dalaba/alert"
	"dalaba/data"
	"dalaba/ingest"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// alarm is the daemon's way from a message's bytes to the sirens.
type alarm struct {
	d     *daemon
	alarm *player.Alarm

	// What comes along with messages, to be made into clips. That takes longer
	// than whoever handed a message in stays.
	sounds chan emergency.Record

	mu   sync.Mutex
	made map[string]player.AlertSound // speech by its text
}

// maxAnchor is the largest file of certificates or keys that is read.
const maxAnchor = 4 << 20

// trusted is whom the site believes. Files that cannot be read are told of;
// what the others vouch for still holds.
func trusted(c config.Alert) (o alert.Options, err error) {
	var faults []error
	each := func(paths []string, take func([]byte) error) {
		for _, path := range paths {
			b, err := readRegular(path, maxAnchor)
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

// readAlert reads a message as the site reads it. What is no alert is an
// error.
func readAlert(raw []byte, c config.Alert) (alert.Message, error) {
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

// record is a message as the book enters it. Sound that did not come along
// is not waited for: here nobody fetches it.
func record(m alert.Message, by playlist.AlertSource) emergency.Record {
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
func (a *alarm) take(ctx context.Context, raw []byte, by playlist.AlertSource) (emergency.Record, bool, error) {
	m, err := readAlert(raw, a.d.live.Load().Alert)
	if err != nil {
		return emergency.Record{}, false, err
	}
	r := record(m, by)
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

// unmade are the alerts in force whose own sound the last run of the daemon
// left unmade.
func (a *alarm) unmade(ctx context.Context) (all []emergency.Record) {
	store := a.d.site.store
	records, _, err := store.Alerts(ctx)
	for _, kept := range records {
		if kept.State.Over() || kept.Clip != nil || kept.Source != playlist.AlertByHand && kept.Source != playlist.AlertByDrop {
			continue
		}
		raw, rerr := store.AlertRaw(ctx, kept.ID)
		if rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		if m, rerr := readAlert(raw, a.d.live.Load().Alert); rerr == nil && len(record(m, kept.Source).Audio) > 0 {
			all = append(all, record(m, kept.Source))
		}
	}
	if err != nil && ctx.Err() == nil {
		a.d.log.Error("alerts cannot be read", "err", err)
	}
	return all
}

// convert makes the air clip of an alert's own sound, and says that it is
// there, or that none is to come.
func (a *alarm) convert(ctx context.Context, r emergency.Record) {
	for _, sound := range r.Audio {
		clip, err := a.clips().Convert(ctx, r.Alert, sound)
		if ctx.Err() != nil {
			return // it is made after the next start
		}
		if err == nil {
			r.Clip = &clip
			break
		}
		a.d.log.Error("alert's sound is not fit to air", "alert", r.ID, "name", sound.Name, "err", err)
	}
	if r.Clip == nil {
		r.Audio = nil
	}
	if _, _, err := a.alarm.Receive(ctx, r, nil); err != nil && ctx.Err() == nil {
		a.d.log.Error("alert's sound not noted", "alert", r.ID, "err", err)
	}
}

// clips makes clips as the config in force says.
func (a *alarm) clips() ingest.AlertClips {
	return ingest.AlertClips{Ingester: newIngester(a.d.live.Load().Ingest, ""), Shelve: a.d.site.store.AddClip}
}

var errNoSound = errors.New("no such sound")

// Sound is the alert in one of its forms.
func (a *alarm) Sound(ctx context.Context, r emergency.Record, as playlist.Used) (player.AlertSound, error) {
	switch as {
	case playlist.UsedClip:
		if r.Clip == nil {
			return player.AlertSound{}, errNoSound
		}
		clip, path, err := a.d.site.store.Clip(ctx, r.Clip.ID)
		if err == nil {
			_, err = os.Stat(path)
		}
		return player.AlertSound{Clip: clip, Path: path}, err
	case playlist.UsedSpeech:
		language := a.d.live.Load().Site.Language
		t, _ := r.Text(language)
		return a.speak(ctx, r.Spoken(language), t.Language, r.Headline())
	case playlist.UsedPreamble:
		lang := say.Choose(a.d.live.Load().Site.Language)
		return a.speak(ctx, say.M("alerts.preamble").In(lang), string(lang), say.M("alerts.preamble_title").In(lang))
	case playlist.UsedGeneric:
		return a.generic(r.EventCode)
	}
	return player.AlertSound{}, errNoSound
}

// speak makes a clip of words, or has it from before.
func (a *alarm) speak(ctx context.Context, text, language, title string) (player.AlertSound, error) {
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
	s := player.AlertSound{Clip: clip, Path: a.d.site.store.ClipPath(clip.ID)}
	a.made[text] = s
	return s, nil
}

// speakWithin bounds the making of speech: a minute of it takes seconds.
const speakWithin = 2 * time.Minute

// generic is the clip that the config keeps for a kind of event.
func (a *alarm) generic(code string) (player.AlertSound, error) {
	files := a.d.live.Load().Alert.Generic
	path := files[code]
	if path == "" {
		path = files["default"]
	}
	if path == "" {
		return player.AlertSound{}, errNoSound
	}
	info, err := scanFile(path)
	if err != nil {
		return player.AlertSound{}, err
	}
	return player.AlertSound{Clip: playlist.Clip{ID: info.ID, Frames: info.Frames, Size: info.Size}, Path: path}, nil
}

// needs reports whether the clip is one that an alert in force sounds: it is
// not given up for its room.
func (a *alarm) needs(ctx context.Context) map[playlist.ClipID]bool {
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
func (a *alarm) run(ctx context.Context) error {
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

func newAlarm(d *daemon, store *data.Store) *alarm {
	a := &alarm{d: d, sounds: make(chan emergency.Record), made: map[string]player.AlertSound{}}
	a.alarm = player.NewAlarm(d.player, store, a)
	return a
}

// readMessage reads a message's file, within bounds; it must be a regular
// file and no link to one.
func readMessage(path string) (raw []byte, err error) {
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
	raw, err = readRegular(path, alert.MaxTar)
	if err == nil && len(bytes.TrimSpace(raw)) == 0 {
		err = say.M("alerts.empty")
	}
	return raw, err
}

// readRegular reads a regular file of at most so many bytes; anything else that
// may go by the name is refused without a wait.
func readRegular(path string, most int64) (raw []byte, err error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	raw, err = io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = say.M("alerts.too_large", most>>20)
	}
	return raw, err
}

// alertDrop takes messages out of the drop folder.
func (d *daemon) alertDrop(ctx context.Context, cfg *config.Config) error {
	if cfg.Alert.Drop == "" {
		return nil
	}
	return (&dropped{dir: cfg.Alert.Drop, lang: d.Language(cfg.Site.Language), log: d.log, receive: func(ctx context.Context, raw []byte) (emergency.Record, error) {
		r, _, err := d.alarm.take(ctx, raw, playlist.AlertByDrop)
		return r, err
	}}).run(ctx)
}

// dropped watches the drop folder of a site that may be cut off.
type dropped struct {
	dir     string
	lang    say.Lang
	log     *slog.Logger
	receive func(context.Context, []byte) (emergency.Record, error)
	seen    map[string]arrived
	told    string
}

// arrived is a file as it was last seen.
type arrived struct {
	size  int64
	mtime time.Time
	since time.Time // it has been so
	stuck bool      // it was taken but could not be moved away: once is enough
}

func (f arrived) is(info fs.FileInfo) bool {
	return f.size == info.Size() && f.mtime.Equal(info.ModTime())
}

const (
	dropEvery  = time.Second
	dropSettle = 5 * time.Second // what is no message as it stands may still be arriving for so long
)

// errArriving says that a file may not be whole yet.
var errArriving = errors.New("it is still arriving")

func (p *dropped) run(ctx context.Context) error {
	for _, dir := range []string{p.dir, filepath.Join(p.dir, "taken"), filepath.Join(p.dir, "refused")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			p.log.Error("alert folder cannot be made", "path", dir, "err", err)
		}
	}
	for pause(ctx, dropEvery) == nil {
		if err := p.sweep(ctx); err != nil && err.Error() != p.told {
			p.told = err.Error()
			p.log.Error("alert folder cannot be read", "path", p.dir, "err", err)
		}
	}
	return nil
}

// sweep takes each file that has not changed since the last look.
func (p *dropped) sweep(ctx context.Context) error {
	if ingest.InStore(p.dir) {
		return errDropStore
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	still := map[string]arrived{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), ".txt") {
			continue
		}
		f, known := p.seen[e.Name()]
		if known = known && f.is(info); !known {
			f = arrived{size: info.Size(), mtime: info.ModTime(), since: time.Now()}
		}
		if known && !f.stuck {
			if err := p.take(ctx, e.Name(), f); err != nil && !errors.Is(err, errArriving) {
				p.log.Error("alert file stays where it is", "path", filepath.Join(p.dir, e.Name()), "err", err)
				f.stuck = true
			}
		}
		still[e.Name()] = f
	}
	p.seen = still
	return nil
}

// errDropStore says that the folder is no place to take files from.
var errDropStore = errors.New("the folder holds the controller's own store; name another as drop")

// take takes one file, and moves it away: one that was refused has a note
// beside it that says why. A message that is whole does not wait to be sure
// that it is; what is none, or changes as it is read, is given time to arrive.
func (p *dropped) take(ctx context.Context, name string, f arrived) error {
	path := filepath.Join(p.dir, name)
	raw, err := readMessage(path)
	if info, serr := os.Lstat(path); err == nil && (serr != nil || !f.is(info) || int64(len(raw)) != f.size) {
		return errArriving
	}
	var r emergency.Record
	if err == nil {
		r, err = p.receive(ctx, raw)
	}
	if err != nil && !errors.Is(err, player.ErrNotStored) && time.Since(f.since) < dropSettle {
		return errArriving
	}
	if errors.Is(err, player.ErrNotStored) {
		return err // it sounds; after a power cut it must be found again
	}
	if err == nil && r.State != emergency.StateRefused {
		return os.Rename(path, filepath.Join(p.dir, "taken", name))
	}
	if err == nil {
		err = say.M("alerts.reason_" + string(r.Reason))
	}
	p.log.Warn("alert file refused", "path", path, "err", err)
	note := filepath.Join(p.dir, "refused", name+".txt")
	return errors.Join(
		os.Rename(path, filepath.Join(p.dir, "refused", name)),
		os.WriteFile(note, []byte(say.In(p.lang, err)+"\n"), 0o644))
}
