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
// matters, and what it says.
func LogLine(words wording.Log, e asrun.Event, colour bool) string {
	tone := Plain
	switch {
	case e.Level >= int(slog.LevelError):
		tone = Bad
	case e.Level >= int(slog.LevelWarn):
		tone = Warn
	}
	text, below := words.Say(e)
	level := Columns.FillRight(words.Level(e), Columns.StringWidth(say.M("attr.level_warn").In(words.Lang)))
	line := e.At.In(words.Zone).Format(time.TimeOnly) + "  " + Paint(level+"  "+Printable(text), tone, colour)
	for _, b := range below {
		line += "\n" + strings.Repeat(" ", len("15:04:05  ")) + Printable(b)
	}
	return line
}
