package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
	"dalaba/web"
)

// asrunCmd shows the as-run log.
func (a *app) asrunCmd() *cobra.Command {
	var (
		p   cli.Period
		q   data.Query
		csv bool
	)
	c := a.JSONFlag(&cobra.Command{
		Use:   "asrun",
		Short: a.Say("view.asrun_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.asrun(c.Context(), time.Now(), p, q, csv) },
	})
	a.PeriodFlags(c, &p)
	c.Flags().StringVar(&q.Output, "output", "", a.Say("view.flag_output"))
	c.Flags().StringVar(&q.Slot, "slot", "", a.Say("view.flag_slot"))
	c.Flags().BoolVar(&csv, "csv", false, a.Say("view.flag_csv"))
	return c
}

// asrun shows rows by due instant as they come from the disk. `--json` is a
// list of asrun.Row; `--csv` has the same keys in its first line.
func (a *app) asrun(ctx context.Context, now time.Time, p cli.Period, q data.Query, asCSV bool) error {
	if a.JSON && asCSV {
		return cli.Refuse(say.M("view.json_or_csv"))
	}
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if s.Store == nil && !a.JSON {
		return a.noStore(s.Site.DataDir)
	}
	if q.Since, q.Until, err = p.Span(now, s.Site.Zone); err != nil {
		return err
	}
	if p.Since == "" {
		q.Since = cli.Midnight(now, s.Site.Zone, 0)
		if !q.Until.IsZero() && !q.Since.Before(q.Until) {
			q.Since = time.Time{}
		}
	}
	if s.Store == nil {
		return newList(a.Out).end() // nothing has aired yet
	}
	rows := s.Store.AsRun(ctx, q)
	switch {
	case a.JSON:
		return rowsJSON(a.Out, rows)
	case asCSV:
		return rowsCSV(a.Out, rows)
	}
	return a.rowsTable(s, rows, now, q)
}

func rowsJSON(out io.Writer, rows iter.Seq2[asrun.Row, error]) error {
	l := newList(out)
	for r, err := range rows {
		if err != nil {
			return err
		}
		if err := l.add(r); err != nil {
			return err
		}
	}
	return l.end()
}

// byteOrderMark makes Excel read a file as UTF-8.
const byteOrderMark = "\ufeff"

func rowsCSV(out io.Writer, rows iter.Seq2[asrun.Row, error]) error {
	if _, err := io.WriteString(out, byteOrderMark); err != nil {
		return err
	}
	w := csv.NewWriter(out)
	w.UseCRLF = true
	_ = w.Write([]string{
		"airing", "output", "item", "part", "slot", "playlist", "clip", "title", "series", "issue", "rank",
		"due", "cued", "started", "ended", "from_frame", "frames", "of_frames", "at_frame", "level_db",
		"residents", "area", "outcome", "reason", "clock", "boot", "mono_ms", "seq",
	})
	for r, err := range rows {
		if err != nil {
			return err
		}
		_ = w.Write([]string{
			inert(string(r.Airing)), inert(r.Output), itoa(r.Item), itoa(r.Part), inert(r.Slot), inert(r.Playlist), string(r.Clip),
			inert(r.Title), inert(r.Series), itoa(r.Issue), itoa(r.Rank),
			rfc3339(r.Due), rfc3339(r.Cued), rfc3339(r.Started), rfc3339(r.Ended),
			itoa(r.FromFrame), itoa(r.Frames), itoa(r.OfFrames), itoa(r.AtFrame), strconv.FormatFloat(r.LevelDB, 'f', -1, 64),
			itoa(r.Residents), string(r.Area), string(r.Outcome), string(r.Reason), string(r.Clock), r.Boot, itoa(r.MonoMS), itoa(r.Seq),
		})
	}
	w.Flush()
	return w.Error()
}

func itoa[T ~int | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// inert keeps text from being taken for a formula by a spreadsheet.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (a *app) rowsTable(s *site.Site, rows iter.Seq2[asrun.Row, error], now time.Time, q data.Query) error {
	t := a.NewTable(cli.Key(a.Say("view.due")), a.Say("view.slot"), a.Say("view.by_output"), cli.Title(a.Say("view.by_clip")),
		cli.Extra(a.Say("view.started")), ">"+a.Say("view.heard"), cli.Message(a.Say("view.outcome")))
	_, alive := data.Running(s.Site.DataDir)
	n := 0
	for r, err := range rows {
		if err != nil {
			return err
		}
		n++
		started, heard := "–", "–"
		if !r.Started.IsZero() {
			started = r.Started.In(s.Site.Zone).Format(time.TimeOnly)
			heard = minutes(playlist.Length(r.Frames)) + "/" + minutes(playlist.Length(r.OfFrames))
		}
		clip := "–"
		if r.Clip != "" {
			clip = a.ClipName(r.Clip, r.Title, r.Issue)
		}
		if t.Add(web.Stamp(r.Due, now, s.Site.Zone), a.rowSlot(r), r.Output, clip, started, heard, a.outcome(r, alive)) {
			fmt.Fprint(a.Out, t.Page())
		}
	}
	if n == 0 {
		if q.Since.IsZero() {
			a.Println(a.Say("view.asrun_empty"))
		} else {
			a.Println(a.Say("view.asrun_none", web.Stamp(q.Since, now, s.Site.Zone)))
		}
		return nil
	}
	fmt.Fprint(a.Out, t.Page())
	return nil
}

// outcome is how a row ended, and why.
func (a *app) outcome(r asrun.Row, alive bool) cli.Cell {
	if r.Outcome == "" && !alive {
		return cli.Tint(a.Say("view.broke_off"), cli.OutcomeTone(asrun.Partial))
	}
	if r.Outcome == "" {
		if r.Started.IsZero() {
			return cli.Tint(a.Say("view.waiting"), cli.Plain)
		}
		return cli.Tint(a.Say("outcome.airing"), cli.Good)
	}
	text := a.Word("outcome.", string(r.Outcome))
	if r.Reason != asrun.ReasonNone {
		text += " · " + a.Word("reason.", string(r.Reason))
	}
	if r.FromFrame > 0 && r.Part > 1 {
		text += a.Say("view.rejoined", minutes(playlist.Length(r.FromFrame)))
	}
	if r.Clock == playlist.ClockUntrusted {
		text += a.Say("view.untrusted")
	}
	return cli.Tint(text, cli.OutcomeTone(r.Outcome))
}

// rowSlot is what a row belongs to, for people: its slot, or an alert.
func (a *app) rowSlot(r asrun.Row) string {
	if r.Alert != "" {
		return a.Say("view.alert_row", a.Word("why.used_", string(r.Used)))
	}
	return wording.SlotTitle(r.Slot).In(a.Language())
}
