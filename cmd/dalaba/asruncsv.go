package main

import (
	"context"
	"iter"
	"strconv"
	"time"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/web"
)

// rowsRaw writes rows for programs: the keys and figures of `--json`.
func (a *app) rowsRaw(rows iter.Seq2[asrun.Row, error]) error {
	w, err := cli.NewCSV(a.Out, cli.CSVRaw,
		"airing", "output", "item", "part", "slot", "playlist", "clip", "title", "series", "issue", "rank",
		"due", "cued", "started", "ended", "from_frame", "frames", "of_frames", "at_frame", "level_db",
		"residents", "area", "outcome", "reason", "clock", "boot", "mono_ms", "seq")
	if err != nil {
		return err
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		err := w.Add(string(r.Airing), r.Output, r.Item, r.Part, r.Slot, r.Playlist, string(r.Clip), r.Title, r.Series, r.Issue, int(r.Rank),
			rfc3339(r.Due), rfc3339(r.Cued), rfc3339(r.Started), rfc3339(r.Ended),
			r.FromFrame, r.Frames, r.OfFrames, r.AtFrame, decibels(r.LevelDB), r.Residents, string(r.Area),
			string(r.Outcome), string(r.Reason), string(r.Clock), r.Boot, r.MonoMS, r.Seq)
		if err != nil {
			return err
		}
	}
	return w.End()
}

func decibels(db float64) cli.Number { return cli.Number(strconv.FormatFloat(db, 'f', -1, 64)) }

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// sheetHead are the columns of the as-run log in a spreadsheet.
var sheetHead = []string{
	"due", "kind", "what", "playlist", "by_series", "by_clip", "clip_id", "item", "part", "by_output",
	"started", "ended", "from_s", "heard_s", "length_s", "outcome", "reason", "clock_state", "residents", "level",
}

// rowsSheet writes rows for a person with a spreadsheet, in the site's time.
func (a *app) rowsSheet(ctx context.Context, s *site.Site, rows iter.Seq2[asrun.Row, error]) error {
	var head []string
	for _, key := range sheetHead {
		head = append(head, a.Say("view."+key))
	}
	alerts, err := alertsByID(ctx, s)
	if err != nil {
		return err
	}
	w, err := cli.NewCSV(a.Out, cli.CSVSheet, head...)
	if err != nil {
		return err
	}
	_, alive := data.Running(s.Site.DataDir)
	local := func(t time.Time) string { return cli.Local(t, s.Site.Zone) }
	length := func(frames int64) cli.Number { return cli.Number(web.Seconds(playlist.Length(frames))) }
	for r, err := range rows {
		if err != nil {
			return err
		}
		record, known := alerts[r.Alert]
		reason := ""
		if r.Reason != asrun.ReasonNone {
			reason = a.Word("reason.", string(r.Reason))
		}
		err := w.Add(local(r.Due), a.rowKind(r, record, known), a.rowName(r), r.Playlist, r.Series, a.rowClip(r), r.Clip.Short(), r.Item, r.Part, r.Output,
			local(r.Started), local(r.Ended), length(r.FromFrame), length(r.Frames), length(r.OfFrames),
			a.ending(r, alive), reason, a.Word("view.clock_is_", string(r.Clock)), r.Residents, decibels(r.LevelDB))
		if err != nil {
			return err
		}
	}
	return w.End()
}

// alertsByID are the alerts that the store has.
func alertsByID(ctx context.Context, s *site.Site) (map[playlist.AlertID]emergency.Record, error) {
	records, err := s.Store.Alerts(ctx)
	all := make(map[playlist.AlertID]emergency.Record, len(records))
	for _, r := range records {
		all[r.ID] = r
	}
	return all, err
}

// rowKind is what kind of airing a row is of, for people. The store may have forgotten
// an alert: its rank says whether it was a drill.
func (a *app) rowKind(r asrun.Row, record emergency.Record, known bool) string {
	_, hand := r.Airing.Hand()
	switch {
	case hand:
		return wording.Other(playlist.ByHand("")).In(a.Language())
	case r.Alert == "":
		return a.Say("view.kind_slot")
	case known && !r.Alert.Live():
		return a.alertKind(record)
	case r.Rank == playlist.RankActualDrill:
		return a.Word("alerts.class_", string(emergency.ClassDrillActual))
	case r.Rank == playlist.RankSimulatedDrill:
		return a.Word("alerts.class_", string(emergency.ClassDrillSimulated))
	}
	return wording.Other(r.Airing).In(a.Language())
}

// rowName is what a row belongs to, for people: its slot, the title of its alert, or who
// played it.
func (a *app) rowName(r asrun.Row) string {
	_, hand := r.Airing.Hand()
	switch {
	case hand, r.Alert.Live(), r.Alert != "" && r.Title == "":
		return wording.Other(r.Airing).In(a.Language())
	case r.Alert != "":
		return r.Title
	}
	return wording.SlotTitle(r.Slot).In(a.Language())
}

// rowClip is what sounded, for people.
func (a *app) rowClip(r asrun.Row) string {
	switch {
	case r.Alert != "":
		return a.Word("why.used_", string(r.Used))
	case r.Clip == "":
		return ""
	}
	return a.ClipName(r.Clip, r.Title, r.Issue)
}
