package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"dalaba/data"
	"dalaba/devices/vcard"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

const (
	cycle     = 6 // seconds; longer than any of the clips
	wavHeader = 44
)

// late measures how long after its due instant the first frame of a clip
// sounds. Every second two outputs start: a recording and a virtual sound card
// behind libasound. Both are compared with what the as-run log says: the
// recordings are watched from outside as they grow, and the cards log when they
// consumed what. The peer is cron/v3's runner, which starts mpg123 at the same
// instants, into sinks of the same pace and on such cards.
func (b *bench) late(ctx context.Context) ([]Figure, error) {
	length := 60 * time.Second
	if b.short {
		length = 10 * time.Second
	}
	ours, err := b.lateness(ctx, length)
	if err != nil {
		return nil, err
	}
	theirs, err := b.peerLateness(ctx, length)
	if err != nil {
		return nil, err
	}
	var all []Figure
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		add := func(what string, ours []float64, peer string, theirs []float64) {
			all = append(all, figure("first frame late, "+what+", "+q.name, quantile(ours, q.at), "ms", peer, quantile(theirs, q.at), len(ours)))
		}
		add("as-run log", ours.logged, "cron/v3 runner, mpg123 into a paced sink", theirs.recorded)
		add("in the recording", ours.recorded, "cron/v3 runner, mpg123 into a paced sink", theirs.recorded)
		add("on a virtual card", ours.carded, "cron/v3 runner, mpg123 on a virtual card", theirs.carded)
	}
	return all, nil
}

// latenesses are in milliseconds, one for each start, early or late.
type latenesses struct{ logged, recorded, carded []float64 }

// lateness returns the latenesses in the daemon's log, in its recordings and on
// the cards.
func (b *bench) lateness(ctx context.Context, length time.Duration) (l latenesses, err error) {
	s, err := b.newSite("late")
	if err != nil {
		return l, err
	}
	cards, alsa, err := b.cards("late-cards", cardNames()...)
	if err != nil {
		return l, err
	}
	watches := s.outputs()
	config, err := s.config()
	if err != nil {
		return l, err
	}
	d, err := b.startDaemon(ctx, config, alsa)
	if err != nil {
		return l, err
	}
	if _, err := d.waitForLog(ctx, `msg="output opened"`, 2*cycle); err != nil {
		return l, errors.Join(err, d.end())
	}
	watching, stop := context.WithTimeout(ctx, length+schedule.Lead+cycle*time.Second)
	defer stop()
	watchAll(watching, slices.Collect(maps.Values(watches)))
	underruns := d.count("msg=underrun")
	if err := errors.Join(ctx.Err(), d.end()); err != nil {
		return l, err
	}
	if underruns > 0 {
		fmt.Fprintf(b.log, "late: %d underruns\n", underruns)
	}
	rows, err := asRun(ctx, s.data())
	if err != nil {
		return l, err
	}
	decoded, err := b.decoded()
	if err != nil {
		return l, err
	}
	for _, r := range rows {
		// The first airings may fall due before the daemon has had its lead
		// time, and the last are cut off when it ends.
		if r.Due.Before(d.began.Add(schedule.Lead+time.Second)) || r.Frames < r.OfFrames {
			continue
		}
		l.logged = append(l.logged, apart(r.Started, r.Due))
		if c, ok := cards[r.Output]; ok {
			at, ok, err := c.When(r.AtFrame)
			if err != nil || !ok {
				return l, fmt.Errorf("%s did not consume frame %d: %w", r.Output, r.AtFrame, err)
			}
			l.carded = append(l.carded, apart(at, r.Due))
			continue
		}
		w := watches[r.Output]
		if err := w.holds(r, decoded[r.Clip]); err != nil {
			return l, err
		}
		at, ok := w.when(r.AtFrame, r.Frames)
		if !ok {
			return l, fmt.Errorf("nobody watched %s as frame %d was written", r.Output, r.AtFrame)
		}
		l.recorded = append(l.recorded, apart(at, r.Due))
	}
	if len(l.recorded) == 0 || len(l.carded) == 0 {
		return l, errors.New("nothing aired")
	}
	return l, nil
}

// apart returns the time between two instants in milliseconds, never negative.
func apart(a, b time.Time) float64 { return math.Abs(millis(a.Sub(b))) }

// outputs adds to the site recordings and virtual cards, and slots that start
// one of each every second.
func (s *site) outputs() map[string]*watch {
	watches := map[string]*watch{}
	for i, card := range cardNames() {
		wav := fmt.Sprintf("wav%d", i)
		s.output(wav, "wav:"+wav+".wav")
		s.output(card, "alsa:"+card)
		s.slot(fmt.Sprintf("every-%d", i), fmt.Sprintf("%d/%d * * * * *", i, cycle), "window = \"1s\"\n", wav, card)
		watches[wav] = &watch{path: filepath.Join(s.dir, wav+".wav")}
	}
	return watches
}

// cardNames returns the name of a card for each second of the cycle.
func cardNames() (names []string) {
	for i := range cycle {
		names = append(names, fmt.Sprintf("card%d", i))
	}
	return names
}

// asRun returns the as-run log of a data folder.
func asRun(ctx context.Context, dir string) (rows []asrun.Row, err error) {
	store, err := data.OpenReadOnly(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for r, err := range store.AsRun(ctx, data.Query{}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// decoded returns the frames of every clip.
func (b *bench) decoded() (map[playlist.ClipID][]int16, error) {
	paths, err := b.clips()
	if err != nil {
		return nil, err
	}
	all := map[playlist.ClipID][]int16{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		info, err := player.Scan(f)
		if err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
		frames := make([]int16, info.Frames)
		if err == nil {
			err = decode(f, frames)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all[info.ID] = frames
	}
	return all, nil
}

func decode(r io.Reader, frames []int16) error {
	d, err := player.OpenClip(r)
	for n := 0; err == nil && len(frames) > 0; frames = frames[n:] {
		n, err = d.Read(frames)
	}
	return err
}

// watch observes a recording from outside while it grows.
type watch struct {
	path string
	seen []sight
}

// sight is how many frames a recording held at an instant.
type sight struct {
	at     time.Time
	frames int64
}

// watchAll records each time that a recording has grown, until ctx ends.
func watchAll(ctx context.Context, all []*watch) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		for _, w := range all {
			info, err := os.Stat(w.path)
			if err != nil {
				continue
			}
			frames := (info.Size() - wavHeader) / 2
			if n := len(w.seen); frames > 0 && (n == 0 || frames > w.seen[n-1].frames) {
				w.seen = append(w.seen, sight{time.Now(), frames})
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// when returns the instant at which the recording reached that frame. A
// recording is written a little after the instant that it stands for, and
// observed later still, never before: so the earliest instant that any sight
// within the clip allows is the most exact.
func (w *watch) when(frame, frames int64) (earliest time.Time, ok bool) {
	for _, s := range w.seen {
		if s.frames < frame || s.frames > frame+frames {
			continue
		}
		if at := s.at.Add(-playlist.Length(s.frames - frame)); !ok || at.Before(earliest) {
			earliest, ok = at, true
		}
	}
	return earliest, ok
}

// holds checks that the recording has the clip, sample by sample, at the place
// that the row gives, and silence just before.
func (w *watch) holds(r asrun.Row, clip []int16) error {
	f, err := os.Open(w.path)
	if err != nil {
		return err
	}
	defer f.Close()
	before := min(r.AtFrame, sinkPeriod)
	got := make([]int16, before+r.Frames)
	section := io.NewSectionReader(f, wavHeader+2*(r.AtFrame-before), 2*int64(len(got)))
	if err := binary.Read(section, binary.LittleEndian, got); err != nil {
		return fmt.Errorf("%s at frame %d: %w", w.path, r.AtFrame, err)
	}
	if want := append(make([]int16, before), clip...); !slices.Equal(got, want) {
		return fmt.Errorf("%s does not hold clip %s at frame %d", w.path, r.Clip.Short(), r.AtFrame)
	}
	return nil
}

// peerLateness returns the latenesses of the peer, which has no log.
func (b *bench) peerLateness(ctx context.Context, length time.Duration) (l latenesses, err error) {
	clips, err := b.clips()
	if err != nil {
		return l, err
	}
	cards, alsa, err := b.cards("late-peer", cardNames()...)
	if err != nil {
		return l, err
	}
	runner := cron.New(cron.WithSeconds(), cron.WithLogger(cron.PrintfLogger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))))
	var (
		mu     sync.Mutex
		faults []error
	)
	each := func(i int, air func(due time.Time) (began time.Time, err error), into *[]float64) error {
		_, err := runner.AddFunc(fmt.Sprintf("%d/%d * * * * *", i, cycle), func() {
			due := time.Now().Truncate(time.Second)
			began, err := air(due)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				faults = append(faults, err)
				return
			}
			*into = append(*into, apart(began, due))
		})
		return err
	}
	for i, card := range cardNames() {
		clip := clips[i%len(clips)]
		err := errors.Join(
			each(i, func(time.Time) (time.Time, error) { return airIntoSink(ctx, clip) }, &l.recorded),
			each(i, func(due time.Time) (time.Time, error) { return airOnCard(ctx, clip, cards[card], alsa, due) }, &l.carded))
		if err != nil {
			return l, err
		}
	}
	runner.Start()
	select {
	case <-time.After(length):
	case <-ctx.Done():
	}
	<-runner.Stop().Done() // let the clips that still sound end
	mu.Lock()
	defer mu.Unlock()
	if len(l.recorded) == 0 || len(l.carded) == 0 {
		faults = append(faults, errors.New("the peer aired nothing"))
	}
	return l, errors.Join(append(faults, ctx.Err())...)
}

// airIntoSink plays a clip with mpg123 and returns when it began to sound.
func airIntoSink(ctx context.Context, clip string) (began time.Time, err error) {
	c := mpg123(ctx, "-s", "-m", clip)
	pipe, err := c.StdoutPipe()
	if err != nil {
		return began, err
	}
	if err := c.Start(); err != nil {
		return began, err
	}
	began, frames, err := sink(pipe)
	if err := errors.Join(err, c.Wait()); err != nil {
		return began, fmt.Errorf("mpg123: %w", err)
	}
	if frames == 0 {
		return began, fmt.Errorf("mpg123 made no sound of %s", clip)
	}
	return began, nil
}

// airOnCard plays a clip with mpg123 on a card and returns when the card says
// that it began.
func airOnCard(ctx context.Context, clip string, card *vcard.Card, alsa string, due time.Time) (began time.Time, err error) {
	c := mpg123(ctx, "-o", "alsa", "-a", card.Name, clip)
	c.Env = append(os.Environ(), alsa)
	if said, err := c.CombinedOutput(); err != nil {
		return began, fmt.Errorf("mpg123: %w: %s", err, said)
	}
	runs, err := card.Log()
	if err != nil {
		return began, err
	}
	i := slices.IndexFunc(runs, func(r vcard.Run) bool { return r.Frames > 0 && !r.At.Before(due) })
	if i < 0 {
		return began, fmt.Errorf("%s heard nothing of %s", card.Name, clip)
	}
	return runs[i].At, nil
}
