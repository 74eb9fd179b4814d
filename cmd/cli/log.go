package cli

import (
	"log/slog"
	"strings"
	"time"

	"dalaba/controller/wording"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

// LogLine returns an event of a log for people: its time of day, a word for a level that
// matters, and what it says, folded at a width with what follows under the message. A
// width of 0 folds nothing.
func LogLine(words wording.Log, e asrun.Event, width int, colour bool) string {
	tone := Plain
	switch {
	case e.Level >= int(slog.LevelError):
		tone = Bad
	case e.Level >= int(slog.LevelWarn):
		tone = Warn
	}
	text, below := words.Say(e)
	level := Columns.FillRight(words.Level(e), Columns.StringWidth(say.M("attr.level_warn").In(words.Lang)))
	clock := e.At.In(words.Zone).Format(time.TimeOnly) + "  "
	column := len(clock) + Columns.StringWidth(level) + 2
	line := clock + Paint(level+"  "+fold(Printable(text), width, column, column), tone, colour)
	for _, b := range below {
		line += "\n" + strings.Repeat(" ", len(clock)) + fold(Printable(b), width, len(clock), len(clock))
	}
	return line
}
