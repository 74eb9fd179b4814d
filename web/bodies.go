package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Why a body was not read.
var (
	ErrTooLarge = errors.New("the body is too large")
	ErrBusy     = errors.New("too much is being read at the moment")
)

// Bodies bounds the memory that the bodies of requests take, from their first byte
// until their requests are done. A stranger may send little; one stranger at a time
// may send as much as a known client.
type Bodies struct {
	Small     int64 // bytes of a stranger's body; only one at a time may be larger
	PerSource int   // requests of strangers from one source at once
	Strangers int   // requests of strangers at once in all
	Known     int   // requests of known clients at once
	Work      int   // requests of strangers worked on at once, once read; as many of known clients besides

	Source func(remote string) netip.Prefix // what counts as one source of requests

	once   sync.Once
	mu     sync.Mutex
	places []*place // of strangers, the oldest first
	known  chan struct{}
	large  chan struct{} // the place of the one that may be large
	work   [2]chan struct{}
}

// place is that of a stranger's request.
type place struct {
	from    netip.Prefix
	hangUp  func() // ends the reading
	reading bool
	lost    bool // another took it
}

// The times that a body may take, and for which a client that is known waits for a
// place. A stranger that there is no room for takes the place of the one that has been
// reading the longest, of its own source if that has too many.
const (
	smallWithin = 30 * time.Second
	largeWithin = 2 * time.Minute
	placeWithin = 10 * time.Second
)

func (b *Bodies) start() {
	b.known, b.large = make(chan struct{}, b.Known), make(chan struct{}, 1)
	b.work = [2]chan struct{}{make(chan struct{}, b.Work), make(chan struct{}, b.Work)}
}

// Read reads the body of a request, of up to most bytes, and waits for its turn to
// be worked on. The error is [ErrTooLarge], [ErrBusy] or that of the connection. If
// there is none, the caller calls done when it no longer needs the body.
func (b *Bodies) Read(w http.ResponseWriter, r *http.Request, most int64, known bool) (body []byte, done func(), err error) {
	b.once.Do(b.start)
	if r.ContentLength > most {
		return nil, nil, ErrTooLarge
	}
	var held []func()
	release := func() {
		for _, leave := range held {
			leave()
		}
	}
	read, lane := b.readStranger, 0
	if known {
		read, lane = b.readKnown, 1
	}
	body, err = read(w, r, most, &held)
	if errors.As(err, new(*http.MaxBytesError)) {
		err = ErrTooLarge
	}
	if err == nil && !take(r.Context(), b.work[lane], placeWithin) {
		err = ErrBusy
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	held = append(held, func() { <-b.work[lane] })
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})     // it would end the request's context
	return body, func() { readWithin(w, smallWithin); release() }, nil // what is left of the body has a deadline again
}

// readKnown reads the body of a known client. If there is no place for one, it is read
// as a stranger's as long as it is small: others at the same address may hold them all.
func (b *Bodies) readKnown(w http.ResponseWriter, r *http.Request, most int64, held *[]func()) ([]byte, error) {
	if !take(r.Context(), b.known, 0) {
		return b.readInPlace(w, r, most, held, b.known, placeWithin)
	}
	*held = append(*held, func() { <-b.known })
	readWithin(w, largeWithin)
	body, err := b.readSmall(r, most)
	if err != nil || int64(len(body)) <= b.Small {
		return body, err
	}
	return readRest(w, r, body, most)
}

func (b *Bodies) readStranger(w http.ResponseWriter, r *http.Request, most int64, held *[]func()) ([]byte, error) {
	return b.readInPlace(w, r, most, held, b.large, 0)
}

// readInPlace reads a body in the place of a stranger's, and what is large of it once
// it has one of the large places, for which it waits that long.
func (b *Bodies) readInPlace(w http.ResponseWriter, r *http.Request, most int64, held *[]func(), large chan struct{}, wait time.Duration) ([]byte, error) {
	p := &place{from: b.Source(r.RemoteAddr), reading: true, hangUp: func() { readWithin(w, -time.Second) }}
	readWithin(w, smallWithin)
	if !b.enter(p) {
		return nil, ErrBusy
	}
	*held = append(*held, func() { b.leave(p) })
	enlarged := false
	enlarge := func() bool { // takes one of the large places, once
		if !enlarged && take(r.Context(), large, wait) {
			enlarged = true
			*held = append(*held, func() { <-large })
		}
		return enlarged
	}
	if r.ContentLength > b.Small && b.Small < most && !enlarge() {
		return nil, ErrBusy // before any of it is read
	}
	body, err := b.readSmall(r, most)
	switch {
	case !b.hold(p):
		return nil, ErrBusy
	case err != nil || int64(len(body)) <= min(b.Small, most):
		return body, err
	case b.Small >= most:
		return nil, ErrTooLarge
	case !enlarge():
		return nil, ErrBusy
	}
	return readRest(w, r, body, most)
}

// readSmall reads a body up to where it is no longer small.
func (b *Bodies) readSmall(r *http.Request, most int64) ([]byte, error) {
	small := min(b.Small, most)
	return readAll(nil, io.LimitReader(r.Body, small+1), min(r.ContentLength, small+1))
}

// readRest reads what is left of a body. If its length is not known, it takes as much
// memory as the longest: a buffer that grows takes up to three times as much.
func readRest(w http.ResponseWriter, r *http.Request, body []byte, most int64) ([]byte, error) {
	readWithin(w, largeWithin)
	length := r.ContentLength
	if length < 0 {
		length = most
	}
	return readAll(body, http.MaxBytesReader(w, r.Body, most-int64(len(body))), length)
}

// readWithin sets how long the rest of a body may take.
func readWithin(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d)) // not every connection can
}

// readAll reads the rest of a body of up to length bytes; negative: it is not known.
func readAll(body []byte, rest io.Reader, length int64) ([]byte, error) {
	buf := bytes.NewBuffer(body)
	if more := length - int64(len(body)); more > 0 {
		buf.Grow(int(more) + bytes.MinRead) // ReadFrom wants that much more to see the end
	}
	_, err := buf.ReadFrom(rest)
	return buf.Bytes(), err
}

// enter takes a place for a stranger's request, if need be that of another. It
// reports whether there was one.
func (b *Bodies) enter(p *place) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := 0
	for _, o := range b.places {
		if o.from == p.from {
			own++
		}
	}
	if own >= b.PerSource || len(b.places) >= b.Strangers {
		i := slices.IndexFunc(b.places, func(o *place) bool { return o.reading && (own < b.PerSource || o.from == p.from) })
		if i < 0 {
			return false
		}
		out := b.places[i]
		out.reading, out.lost = false, true
		out.hangUp()
		b.places = slices.Delete(b.places, i, i+1)
	}
	b.places = append(b.places, p)
	return true
}

// hold keeps others from taking a place, unless one has.
func (b *Bodies) hold(p *place) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.reading = false
	return !p.lost
}

func (b *Bodies) leave(p *place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.places = slices.DeleteFunc(b.places, func(o *place) bool { return o == p })
}

// take takes a place, waiting for up to that long.
func take(ctx context.Context, places chan struct{}, wait time.Duration) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
	}
	if wait == 0 {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case places <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
