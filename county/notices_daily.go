package county

import (
	"context"
	"errors"
	"slices"
	"time"

	"dalaba/county/notice"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// daily keeps the daily reports that are due and not kept yet.
func (n *notices) daily(ctx context.Context) (err error) {
	now := n.now()
	for _, to := range n.to {
		at, ok := to.DailyAt(now)
		key := "daily/" + at.In(n.zone).Format(time.DateOnly)
		if !ok || n.reported[to.Name] == key {
			continue
		}
		if _, kerr := n.store.NoticeByKey(ctx, to.Name+"/"+key); !errors.Is(kerr, store.ErrNotFound) {
			if kerr == nil {
				n.reported[to.Name] = key
			}
			err = errors.Join(err, kerr)
			continue
		}
		text, terr := n.dailyText(ctx, to, now)
		if terr == nil {
			_, terr = n.store.AddNotice(ctx, to.Notice(notice.Daily, key, text, now))
		}
		err = errors.Join(err, terr)
	}
	return err
}

// dailyText says how the county does, and whether all is well.
func (n *notices) dailyText(ctx context.Context, to Notify, now time.Time) (text say.Message, err error) {
	list, err := n.fleet.list(ctx, store.FleetQuery{State: store.Active}, false, false)
	if err != nil {
		return text, err
	}
	all, online := 0, 0
	var silent, ill notice.Names
	for _, s := range list {
		if !to.Covers(s.Area) {
			continue
		}
		all++
		if s.Online {
			online++
		} else {
			silent = append(silent, notice.NamesOf(nameOf(s.Controller))...)
		}
		if s.ill() {
			ill = append(ill, notice.NamesOf(nameOf(s.Controller))...)
		}
	}
	lines := []say.Message{say.M("notice.daily_online", online, all)}
	well := true
	bad := func(key string, of notice.Names) {
		if len(of) > 0 {
			well = false
			lines = append(lines, say.M(key, len(of), of))
		}
	}
	bad("notice.daily_silent", silent)
	bad("notice.daily_faulty", ill)
	figures, err := n.dailyFigures(ctx, to, now)
	if err != nil {
		return text, err
	}
	lines = append(lines, figures...)
	county, untold, err := n.dailyTroubles(ctx, now)
	if err != nil {
		return text, err
	}
	if len(county) > 0 {
		well = false
		lines = append(lines, say.M("notice.daily_county", county))
	}
	bad("notice.daily_untold", untold)
	verdict := say.M("notice.daily_well")
	if !well {
		verdict = say.M("notice.daily_ill")
	}
	text = say.M("notice.daily", n.name, n.stamp(now), verdict)
	for _, l := range lines { // all of them
		text = say.M("notice.lines", text, l)
	}
	return text, nil
}

// dailyFigures counts alerts and airings.
func (n *notices) dailyFigures(ctx context.Context, to Notify, now time.Time) ([]say.Message, error) {
	alerts, err := n.store.AlertsBetween(ctx, now.Add(-24*time.Hour), time.Time{})
	if err != nil {
		return nil, err
	}
	came, refused := 0, 0
	for _, a := range alerts {
		if a.Kind != emergency.KindCancel && concerns(to, a.Areas) {
			came++
			if a.State == emergency.StateRefused {
				refused++
			}
		}
	}
	yesterday := playlist.Date(now.In(n.zone).AddDate(0, 0, -1).Format(time.DateOnly))
	areas := to.Areas
	if len(areas) == 0 {
		areas = []playlist.Area{""}
	}
	var planned, completed, unknown int64
	for _, area := range areas {
		rep, err := n.reach.report(ctx, store.ReachQuery{By: store.ByDay, From: yesterday, To: yesterday, Area: area})
		if err != nil {
			return nil, err
		}
		planned, completed, unknown = planned+int64(rep.Total.Planned), completed+int64(rep.Total.Completed), unknown+int64(rep.Total.Unknown)
	}
	return []say.Message{say.M("notice.daily_alerts", came, refused), say.M("notice.daily_airings", planned, completed, unknown)}, nil
}

// dailyTroubles lists the county's troubles, and the notices of the last day that could not
// be delivered to any recipient.
func (n *notices) dailyTroubles(ctx context.Context, now time.Time) (county, untold notice.Names, err error) {
	s, err := n.overview.status(ctx)
	if err != nil {
		return nil, nil, err
	}
	troubles, err := n.troublesOfCounty(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range troubles {
		county = append(county, t.What.Message())
	}
	failed, err := n.store.EndedNotices(ctx, notice.Failed, now.Add(-24*time.Hour))
	if err != nil {
		return nil, nil, err
	}
	slices.Reverse(failed) // the latest first
	for _, f := range failed {
		if f.Kind != notice.Test {
			untold = append(untold, say.M("notice.daily_untold_one", f.Headline(), f.To))
		}
	}
	return county, untold, nil
}
