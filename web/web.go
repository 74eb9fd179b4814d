// Package web holds the HTTP habits that the faces of a controller and of the
// county share: how a request says its language, how an answer, a failure and a
// live stream look, and a client that reads them. It also bounds what strangers can take
// of a server: connections ([Guard]), bodies in memory ([Bodies]), turns ([Line]), time
// ([Deadlines]) and attempts at a password ([Tries]). It knows no rule of either.
package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"dalaba/playlist/say"
)

// Lang returns the language that a request asks for in Accept-Language; Chinese if
// it asks for none.
func Lang(r *http.Request) say.Lang {
	first, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	tag, _, _ := strings.Cut(first, ";")
	return say.Choose(strings.TrimSpace(tag))
}

// Fault is the body of an answer that is not 200.
type Fault struct {
	Error    string   `json:"error"`              // in the request's language
	Problems []string `json:"problems,omitempty"` // one by one, if there are several
}

// Status gives an error the HTTP status that it is answered with.
func Status(status int, err error) error { return statusError{err, status} }

type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

// Problems is an error of several faults, as words for a person.
type Problems struct {
	error
	List []string
}

// WithProblems adds faults, one by one, to an error.
func WithProblems(err error, list []string) error { return Problems{err, list} }

// Unwrap returns the error.
func (p Problems) Unwrap() error { return p.error }

// Handler returns the value that responds to a request, as JSON, or an error. An
// error without a [Status] is answered with 500.
type Handler func(r *http.Request) (any, error)

// ServeHTTP implements http.Handler.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, err := h(r)
	if err != nil {
		Fail(w, r, err)
		return
	}
	write(w, http.StatusOK, v)
}

// Fail responds to a request with an error, in the request's language.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	if e := (statusError{}); errors.As(err, &e) {
		status = e.status
	}
	f := Fault{Error: text(Lang(r), err)}
	if p := (Problems{}); errors.As(err, &p) {
		f.Problems = p.List
	}
	write(w, status, f)
}

// text puts an error into words, without what only this package has added.
func text(lang say.Lang, err error) string {
	for {
		switch e := err.(type) {
		case statusError:
			err = e.error
		case Problems:
			err = e.error
		default:
			return say.In(lang, err)
		}
	}
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client is gone
}
