package web

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	aliveEvery   = 5 * time.Second // an empty line says that a stream goes on
	writeTimeout = 5 * time.Second // of one line, if the client does not read
)

// Stream is a live answer: one JSON value a line, each sent at once, and an empty
// line every 5 s. Its methods may be called from any goroutine.
type Stream struct {
	mu   sync.Mutex
	w    http.ResponseWriter
	rc   *http.ResponseController
	err  error
	done chan struct{}
	work sync.WaitGroup
}

// NewStream begins a live answer. The handler must close it before it returns.
func NewStream(w http.ResponseWriter) *Stream {
	s := &Stream{w: w, rc: http.NewResponseController(w), done: make(chan struct{})}
	w.Header().Set("Content-Type", "application/x-ndjson; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	_ = s.rc.SetReadDeadline(time.Time{}) // the server's is for the request; it would end the stream
	_ = s.send(nil)                       // so that the client sees the answer begin
	s.work.Go(s.keepAlive)
	return s
}

// Send writes a value. After an error, which means that the client is gone, all
// later calls return it.
func (s *Stream) Send(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.send(line)
}

func (s *Stream) send(line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // a recorder in a test has none
	if _, s.err = s.w.Write(append(line, '\n')); s.err == nil {
		s.err = s.rc.Flush()
	}
	return s.err
}

func (s *Stream) keepAlive() {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = s.send(nil) // Send returns the error
		case <-s.done:
			return
		}
	}
}

// Close ends the stream.
func (s *Stream) Close() {
	close(s.done)
	s.work.Wait()
}
