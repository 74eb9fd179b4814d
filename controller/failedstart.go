package controller

import (
	"errors"
	"strings"

	"dalaba/controller/clock"
	"dalaba/data"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// NoteFailedStart keeps for `dalaba log` why the daemon did not start by a config file
// with that text, which may be empty. If err is [ErrRefused], the problems say why.
func NoteFailedStart(file string, text []byte, problems []config.Problem, err error) error {
	refused := errors.Is(err, ErrRefused)
	f := data.FailedStart{
		Why: map[say.Lang]string{}, Last: clock.Wall()().UTC(), Boot: clock.Boot(), MonoMS: clock.Uptime().Milliseconds(),
	}
	for _, l := range []say.Lang{say.Chinese, say.English} {
		f.Why[l] = say.In(l, err)
		if refused {
			f.Why[l] = strings.Join(words(config.Faults(problems), l), "\n")
		}
	}
	if f.Kind = f.Why[say.English]; !refused { // process numbers and sizes differ each time
		f.Kind = strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return '#'
			}
			return r
		}, f.Kind)
	}
	return data.NoteFailedStart(file, config.DataDir(file, text), f)
}

// inBoth is an error whose text is known in both languages.
type inBoth map[say.Lang]string

func (b inBoth) Error() string           { return b[say.English] }
func (b inBoth) In(lang say.Lang) string { return b[lang] }

// tellFailedStarts writes into the log what kept earlier starts from success.
func (c *Controller) tellFailedStarts() {
	all, err := data.ForgetFailedStarts(c.File, c.Config().Site.DataDir)
	for _, f := range all {
		what := []any{"times", f.Times, "first", f.First, "last", f.Last, "why", inBoth(f.Why)}
		if f.User != "" {
			what = append(what, "user", f.User)
		}
		c.log.Warn("earlier starts failed", what...)
	}
	if err != nil {
		c.log.Warn("failed starts not forgotten", "err", err)
	}
}
