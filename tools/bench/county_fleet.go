package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// inParallel calls do for 0 to n-1, at most at of them at once.
func inParallel(ctx context.Context, at, n int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(at)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

const residents = 420 // in earshot of each controller's one output

// townArea returns the area code of one of the towns.
func townArea(i int) playlist.Area { return playlist.Area(fmt.Sprintf("320924%03d000", 100+i)) }

// fleet is a number of controllers without sound.
type fleet struct {
	poles []*pole
	stop  context.CancelFunc
	work  sync.WaitGroup
	fault error

	mu     sync.Mutex
	rounds []*round
}

// pole is one of the controllers, with its store in memory.
type pole struct {
	*link.Controller
	id   playlist.ControllerID
	area playlist.Area

	mu           sync.Mutex
	docs         map[string]link.Stored
	note         string    // in the manifest that it has
	acknowledged time.Time // when the county last acknowledged
	aired        int64     // receipts made so far
	mark         int64
	acks         int // acknowledgements of batches so far
}

func newFleet(n int, pace link.Pace) *fleet {
	f := &fleet{}
	quiet := slog.New(slog.DiscardHandler)
	boot := time.Now()
	for i := range n {
		p := &pole{
			id: playlist.ControllerID(fmt.Sprintf("pole-%05d", i)), docs: map[string]link.Stored{},
			area: playlist.Area(fmt.Sprintf("320924%03d%03d", 100+i%countyTowns, 200+i/countyTowns%700)),
		}
		p.Controller = &link.Controller{
			Key: link.NewKey(), Store: p, Log: quiet, Boot: "bench", Health: p.health, Pace: pace,
			Clock:    func() playlist.ClockState { return playlist.ClockTrusted },
			Mono:     func() time.Duration { return time.Since(boot) },
			Time:     func(time.Time, time.Duration) { p.heard() },
			Accepted: func(d link.Document) { f.accepted(p, d) },
		}
		f.poles = append(f.poles, p)
	}
	return f
}

// start starts all controllers at once.
func (f *fleet) start() {
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	for _, p := range f.poles {
		f.work.Go(func() {
			if err := p.Run(ctx); err != nil && ctx.Err() == nil {
				f.mu.Lock()
				f.fault = errors.Join(f.fault, fmt.Errorf("%s: %w", p.id, err))
				f.mu.Unlock()
			}
		})
	}
}

// end ends all controllers, unless they have ended.
func (f *fleet) end() error {
	if f.stop != nil {
		f.stop()
	}
	f.work.Wait()
	return f.fault
}

// until waits until holds is true for all controllers, and returns how many
// seconds each took.
func (f *fleet) until(ctx context.Context, what string, holds func(*pole) bool) (took []float64, err error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began, left := time.Now(), slices.Clone(f.poles)
	for {
		left = slices.DeleteFunc(left, holds)
		for range len(f.poles) - len(left) - len(took) {
			took = append(took, time.Since(began).Seconds())
		}
		if len(left) == 0 {
			return took, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return took, fmt.Errorf("%w: %s, but for %d", ctx.Err(), what, len(left))
		}
	}
}

// round is a document sent to many controllers, and when each of them had it.
type round struct {
	began time.Time
	is    func(link.Document) bool

	mu   sync.Mutex
	had  map[*pole]bool
	late []float64 // ms
	size int
	left int
	done chan struct{}
}

// listen makes a round that waits until n controllers have stored a document
// for which is returns true.
func (f *fleet) listen(n int, is func(link.Document) bool) *round {
	r := &round{began: time.Now(), is: is, had: map[*pole]bool{}, left: n, done: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rounds = append(slices.DeleteFunc(f.rounds, (*round).over), r)
	return r
}

func (r *round) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (f *fleet) accepted(p *pole, d link.Document) {
	now := time.Now()
	if d.Manifest != nil {
		p.mu.Lock()
		p.note = d.Manifest.Note
		p.mu.Unlock()
	}
	f.mu.Lock()
	rounds := slices.Clone(f.rounds)
	f.mu.Unlock()
	for _, r := range rounds {
		if r.is(d) {
			r.heard(p, now, len(d.Raw))
		}
	}
}

func (r *round) heard(p *pole, now time.Time, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.had[p] {
		return
	}
	r.had[p], r.size = true, size
	r.late = append(r.late, millis(now.Sub(r.began)))
	if r.left--; r.left == 0 {
		close(r.done)
	}
}

func (r *round) wait(ctx context.Context) ([]float64, error) {
	select {
	case <-r.done:
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		return nil, fmt.Errorf("%w: %d have not heard it", ctx.Err(), r.left)
	}
	return r.late, nil
}

func (r *round) bytes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.size
}

func (p *pole) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acknowledged = time.Now()
}

func (p *pole) health(context.Context) link.Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	return link.Health{
		Program: "bench", Site: string(p.id), Area: p.area, Store: "ok", Unsent: int(p.aired - p.mark),
		Outputs: []link.OutputHealth{{Name: "pole", Device: "null:", State: "ok", Area: p.area, Residents: residents}},
	}
}

// air makes receipts as if clips had aired.
func (p *pole) air(n int64) {
	p.mu.Lock()
	p.aired += n
	p.mu.Unlock()
	p.Wake()
}

// firstDue is when the first airing of each controller was due.
var firstDue = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// row returns the as-run row of a receipt.
func (p *pole) row(seq int64) asrun.Row {
	const frames = 30 * playlist.Rate
	due := firstDue.Add(time.Duration(seq) * time.Minute)
	return asrun.Row{
		Airing: playlist.NewAiringID("lesson", due), Slot: "lesson", Playlist: "lessons", Output: "pole", Item: 1, Part: 1, Seq: seq,
		Clip: "5df1c7d6bd5a3ba42e9b7e9b6a6f8b86bd0d9df3e9bbbc7be4cf6e6f6a5a4d21", Title: "lesson", Series: "lessons", Issue: 1,
		Due: due, Cued: due.Add(-time.Second), Started: due, Ended: due.Add(30 * time.Second), Frames: frames, OfFrames: frames,
		Residents: residents, Area: p.area, Outcome: asrun.Complete, Clock: playlist.ClockTrusted, Boot: "bench", MonoMS: seq * 60_000,
	}
}

func (p *pole) Documents(context.Context) ([]link.Stored, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []link.Stored
	for _, s := range p.docs {
		all = append(all, s)
	}
	return all, nil
}

func (p *pole) Keep(_ context.Context, d link.Document) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.docs[string(d.Kind)+" "+string(d.Scope)] = link.Stored{Have: d.Have, Raw: d.Raw}
	return nil
}

func (p *pole) Adopt(ctx context.Context, e link.Enrolled) error {
	p.mu.Lock()
	clear(p.docs)
	p.mu.Unlock()
	return errors.Join(p.Keep(ctx, e.Trust), p.Keep(ctx, e.Member))
}

func (p *pole) Batch(_ context.Context, after link.Mark, limit int) (asrun.Batch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	batch := asrun.Batch{Epoch: p.epoch()}
	for seq := max(p.mark, after.Seq) + 1; seq <= p.aired && len(batch.Receipts) < limit; seq++ {
		batch.Receipts = append(batch.Receipts, asrun.Receipt{Row: p.row(seq)})
	}
	return batch, nil
}

// epoch names the one epoch of the pole.
func (p *pole) epoch() string { return "bench-" + string(p.id) }

func (p *pole) Marks(context.Context) ([]link.Mark, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.aired == 0 {
		return nil, nil
	}
	return []link.Mark{{Epoch: p.epoch(), Seq: p.mark}}, nil
}

// SetMark drops every twentieth mark, as a power cut would: the batch is sent
// again.
func (p *pole) SetMark(_ context.Context, m link.Mark) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.acks++; (p.acks+len(p.docs)+int(p.id[len(p.id)-1]))%20 != 0 {
		p.mark = m.Seq
	}
	return nil
}

func (p *pole) Renumber(context.Context, string) error {
	return errors.New("a pole's receipts have new numbers")
}

func (p *pole) Events(context.Context, int) ([]link.Event, error)       { return nil, nil }
func (p *pole) EventsSent(context.Context, int64) error                 { return nil }
func (p *pole) SetAside(context.Context, link.Refused) error            { return nil }
func (p *pole) HasClip(context.Context, playlist.ClipID) (bool, error)  { return false, nil }
func (p *pole) PutClip(context.Context, playlist.Clip, io.Reader) error { return nil }

// get fetches a clip and checks its bytes.
func get(ctx context.Context, client *http.Client, base string, clip playlist.Clip, sign func(*http.Request, playlist.ClipID)) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/clips/"+string(clip.ID), nil)
	if err != nil {
		return err
	}
	if sign != nil {
		sign(r, clip.ID)
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, resp.Body); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != string(clip.ID) {
		return fmt.Errorf("answered %s, the bytes are those of %s", resp.Status, got)
	}
	return nil
}
