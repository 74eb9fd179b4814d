package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/playlist/say"
	"dalaba/web"
)

func TestAFailureIsToldInTheLanguageOfTheRequest(t *testing.T) {
	h := web.Handler(func(r *http.Request) (any, error) {
		if r.URL.Path == "/good" {
			return map[string]string{"a": "<b>"}, nil
		}
		return nil, web.Status(http.StatusConflict, web.WithProblems(say.M("cli.not_a_file"), []string{"one", "two"}))
	})
	for _, c := range []struct{ path, lang, body string }{
		{"/good", "", `{"a":"<b>"}`},
		{"/bad", "", `{"error":"不是普通文件","problems":["one","two"]}`},
		{"/bad", "zh-CN,en;q=0.5", `{"error":"不是普通文件","problems":["one","two"]}`},
		{"/bad", "en-US,en;q=0.5", `{"error":"` + say.M("cli.not_a_file").In(say.English) + `","problems":["one","two"]}`},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Header.Set("Accept-Language", c.lang)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		want := http.StatusOK
		if c.path == "/bad" {
			want = http.StatusConflict
		}
		if w.Code != want || strings.TrimSpace(w.Body.String()) != c.body {
			t.Errorf("%s in %q: %d %s", c.path, c.lang, w.Code, w.Body)
		}
	}
}

func TestAStreamThatHasNothingToTellSaysThatItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		s := web.NewStream(w)
		time.Sleep(12 * time.Second)
		if err := s.Send(map[string]int{"n": 1}); err != nil {
			t.Error(err)
		}
		s.Close()
		if got := w.Body.String(); got != "\n\n\n{\"n\":1}\n" || !w.Flushed {
			t.Errorf("%q, flushed: %v", got, w.Flushed)
		}
	})
}

// body is an answer's body that is told when it is closed.
type body struct {
	io.Reader
	closed chan struct{}
}

func (b body) Close() error {
	close(b.closed)
	return nil
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering is a client of a server whose live answer is what is written to w.
func answering(closed chan struct{}) (c *web.Client, w *io.PipeWriter) {
	r, w := io.Pipe()
	return &web.Client{Base: "http://pole", HTTP: &http.Client{Transport: transport(func(q *http.Request) (*http.Response, error) {
		go func() {
			<-q.Context().Done()
			_ = r.CloseWithError(q.Context().Err())
		}()
		return &http.Response{StatusCode: http.StatusOK, Body: body{r, closed}, Request: q}, nil
	})}}, w
}

func TestALiveAnswerIsReadForAsLongAsItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan struct{})
		c, w := answering(closed)
		go func() {
			for range 1000 {
				_, _ = io.WriteString(w, "\n")
				time.Sleep(5 * time.Second)
			}
			_, _ = io.WriteString(w, `{"n":7}`+"\n")
			_ = w.Close()
		}()
		n := 0
		err := c.Stream(t.Context(), "/live", nil, func(line json.RawMessage) error {
			var v struct{ N int }
			err := json.Unmarshal(line, &v)
			n += v.N
			return err
		})
		<-closed
		if err != nil || n != 7 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestALiveAnswerThatFallsSilentIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan struct{})
		c, w := answering(closed)
		go func() { _, _ = io.WriteString(w, "{}\n") }()
		began := time.Now()
		err := c.Stream(t.Context(), "/live", nil, func(json.RawMessage) error { return nil })
		<-closed
		if !errors.Is(err, web.ErrSilent) || time.Since(began) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
