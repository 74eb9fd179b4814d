package data

import (
	"context"
	"database/sql"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

const (
	eventsKept   = 50000
	eventsQueued = 1024
	eventsWait   = 2 * time.Second // how long a line below Warn may wait before it is written
	eventsApart  = time.Second     // a warning is written at once, but at most one batch in this time
)

// Events returns the lines of the device log after the event afterID, the
// oldest first; if afterID is 0, the last limit of them. A limit of 0 returns
// none.
func (s *Store) Events(ctx context.Context, afterID int64, limit int) ([]asrun.Event, error) {
	tail := "WHERE id > ? ORDER BY id"
	if afterID <= 0 {
		tail += " DESC"
	}
	if limit <= 0 {
		limit = -1
	}
	all, err := s.readEvents(ctx, tail+" LIMIT ?", afterID, limit)
	if afterID <= 0 {
		slices.Reverse(all)
	}
	return all, err
}

func (s *Store) readEvents(ctx context.Context, tail string, args ...any) ([]asrun.Event, error) {
	rows, err := s.db().Reader().QueryContext(ctx, "SELECT id, at, boot, mono_ms, level, message, attrs FROM event "+tail, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []asrun.Event
	for rows.Next() {
		var (
			e     asrun.Event
			at    int64
			attrs []byte
		)
		if err := rows.Scan(&e.ID, &at, &e.Boot, &e.MonoMS, &e.Level, &e.Message, &attrs); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(attrs, &e.Attrs); err != nil {
			return nil, err
		}
		e.At = time.UnixMicro(at).UTC()
		all = append(all, e)
	}
	return all, rows.Err()
}

// LogHandler returns a handler that keeps records of level Info and above in
// the device log and passes every record on to next, which may be nil. It never
// waits for the disk: another goroutine writes Warn and above at once, the rest
// within 2 s. If a slow disk leaves more than 1,024 waiting, further records
// are dropped and their number is logged. The last 50,000 are kept.
func (s *Store) LogHandler(next slog.Handler) slog.Handler {
	var keep func(asrun.Event)
	if s.events != nil {
		keep = s.events.add
	}
	return EventHandler(keep, next)
}

// EventHandler returns a handler that gives records of level Info and above to a
// function, as events, and passes every record on to next; both may be nil.
func EventHandler(to func(asrun.Event), next slog.Handler) slog.Handler {
	if next == nil {
		next = slog.DiscardHandler
	}
	return handler{to, next, "", nil}
}

type handler struct {
	to     func(asrun.Event)
	next   slog.Handler
	prefix string
	attrs  map[string]any
}

func (h handler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.to != nil && l >= slog.LevelInfo || h.next.Enabled(ctx, l)
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if h.to != nil && r.Level >= slog.LevelInfo {
		e := asrun.Event{At: r.Time, Level: int(r.Level), Message: r.Message, Attrs: make(map[string]any, len(h.attrs)+r.NumAttrs())}
		for k, v := range h.attrs {
			e.Attrs[k] = v
		}
		r.Attrs(func(a slog.Attr) bool {
			flatten(e.Attrs, h.prefix, a)
			return true
		})
		h.to(e)
	}
	if h.next.Enabled(ctx, r.Level) {
		return h.next.Handle(ctx, r)
	}
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := make(map[string]any, len(h.attrs)+len(attrs))
	for k, v := range h.attrs {
		more[k] = v
	}
	for _, a := range attrs {
		flatten(more, h.prefix, a)
	}
	return handler{h.to, h.next.WithAttrs(attrs), h.prefix, more}
}

func (h handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return handler{h.to, h.next.WithGroup(name), h.prefix + name + ".", h.attrs}
}

// longestText is how much of a text a log line holds, in bytes: some of it comes from
// strangers.
const longestText = 1 << 10

func brief(text string) string {
	if len(text) <= longestText {
		return text
	}
	return strings.ToValidUTF8(text[:longestText], "") + "…"
}

// TextHandler returns a handler that writes lines to w, none of them with a long text.
func TextHandler(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if k := a.Value.Kind(); k == slog.KindString || k == slog.KindAny {
			if text := fmt.Sprint(a.Value.Any()); len(text) > longestText {
				a.Value = slog.StringValue(brief(text))
			}
		}
		return a
	}})
}

// flatten puts an attribute into m in a form that JSON can hold.
func flatten(m map[string]any, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, g := range v.Group() {
			flatten(m, prefix, g)
		}
		return
	case slog.KindDuration:
		m[prefix+a.Key] = v.Duration().String()
		return
	case slog.KindTime:
		m[prefix+a.Key] = v.Time().Format(time.RFC3339Nano)
		return
	case slog.KindFloat64:
		m[prefix+a.Key] = v.Float64()
		if _, err := json.Marshal(v.Float64()); err != nil { // infinite or not a number
			m[prefix+a.Key] = v.String()
		}
		return
	case slog.KindAny:
		switch x := v.Any().(type) {
		case nil:
			m[prefix+a.Key] = nil
		case error:
			m[prefix+a.Key] = brief(x.Error())
			if zh := say.In(say.Chinese, x); zh != x.Error() {
				m[prefix+a.Key+asrun.InChinese] = brief(zh)
			}
		case encoding.TextMarshaler:
			m[prefix+a.Key] = brief(v.String())
		default:
			// Marshal now: the value may have changed by the time it is
			// written.
			b, err := json.Marshal(x)
			if err != nil || len(b) > longestText {
				m[prefix+a.Key] = brief(fmt.Sprint(x))
				return
			}
			m[prefix+a.Key] = json.RawMessage(b)
		}
		return
	}
	if a.Key != "" {
		m[prefix+a.Key] = v.Any()
	}
}

// events is the queue of the device log and the goroutine that empties it.
type events struct {
	s       *Store
	queue   chan asrun.Event
	quit    chan struct{}
	stopped sync.Once
	dropped atomic.Int64
}

func (s *Store) startEvents() {
	e := &events{s: s, queue: make(chan asrun.Event, eventsQueued), quit: make(chan struct{})}
	s.events = e
	s.log = slog.New(s.LogHandler(s.raw.Handler()))
	s.wait.Go(e.run)
}

func (s *Store) stopEvents() {
	if s.events != nil {
		s.events.stopped.Do(func() { close(s.events.quit) })
	}
}

func (q *events) add(e asrun.Event) {
	e.Boot, e.MonoMS = q.s.o.Boot, q.s.o.Mono().Milliseconds()
	if e.At.IsZero() {
		e.At = q.s.now()
	}
	select {
	case q.queue <- e:
	default:
		q.dropped.Add(1)
	}
}

func (q *events) run() {
	var (
		batch   []asrun.Event
		written time.Time
		until   time.Time        // when the batch must be written at the latest
		due     <-chan time.Time // fires at until
	)
	flush := func() {
		q.write(batch)
		batch, written, due = batch[:0], time.Now(), nil
	}
	for {
		select {
		case e := <-q.queue:
			batch = append(batch, e)
			at := time.Now().Add(eventsWait)
			if e.Level >= int(slog.LevelWarn) {
				at = written.Add(eventsApart)
			}
			switch {
			case !at.After(time.Now()) || len(batch) >= eventsQueued/4:
				flush()
			case due == nil || at.Before(until):
				until, due = at, time.After(time.Until(at))
			}
		case <-due:
			flush()
		case <-q.quit:
			for {
				select {
				case e := <-q.queue:
					batch = append(batch, e)
					continue
				default:
				}
				flush()
				return
			}
		}
	}
}

// write stores a batch. It does not give up the ballast for the device log.
func (q *events) write(batch []asrun.Event) {
	if n := q.dropped.Swap(0); n > 0 {
		batch = append(batch, asrun.Event{At: q.s.now(), Boot: q.s.o.Boot, MonoMS: q.s.o.Mono().Milliseconds(), Level: int(slog.LevelWarn),
			Message: "log records dropped", Attrs: map[string]any{"records": n}})
	}
	if len(batch) == 0 {
		return
	}
	ctx := context.Background()
	err := q.s.db().Write(ctx, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx,
			"INSERT INTO event (at, boot, mono_ms, level, message, attrs) VALUES (?, ?, ?, ?, ?, ?)")
		if err != nil {
			return err
		}
		defer func() { _ = insert.Close() }()
		var last int64
		for _, e := range batch {
			attrs, err := json.Marshal(e.Attrs)
			if err != nil {
				attrs = []byte("{}")
			}
			res, err := insert.ExecContext(ctx, e.At.UnixMicro(), e.Boot, e.MonoMS, e.Level,
				e.Message, string(attrs))
			if err == nil {
				last, err = res.LastInsertId()
			}
			if err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM event WHERE id <= ?", last-eventsKept)
		return err
	})
	if err != nil {
		q.dropped.Add(int64(len(batch)))
		q.s.raw.Warn("device log could not be written", "records", len(batch), "err", err)
	}
}
