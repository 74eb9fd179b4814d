package alert_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/alert"
	"dalaba/alert/alerttest"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

func repeated(n int, text func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(text(i))
	}
	return b.String()
}

// What has too much of something still sounds; what was left out is told.
func TestAMessageWithTooMuchSoundsAllTheSame(t *testing.T) {
	change := func(from, to string) []byte { return []byte(strings.Replace(flood, from, to, 1)) }
	long := strings.Repeat("请往高处走。", 100_000)
	now := time.Date(2026, 7, 1, 0, 30, 0, 0, time.UTC)
	ebd := func(change func(*emergency.Alert)) []byte {
		a := emergency.Alert{
			ID: "m", Sender: "s", Sent: now, NotAfter: now.Add(time.Hour), Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
			Areas: []playlist.Area{"341523100000"}, Texts: []emergency.Text{{Language: "zh", Text: "洪水"}},
		}
		change(&a)
		p, err := alerttest.Request(alert.EBD{ID: "e", From: "f", Time: now}, a, alert.Sign{})
		if err != nil {
			t.Fatal(err)
		}
		return p.Tar
	}
	for _, c := range []struct {
		name string
		raw  []byte
		cut  string
	}{
		{"a long text", change("预计三小时内", long), emergency.CutText},
		{"long advice", change("请低洼处", long), emergency.CutText},
		{"a long headline", change("暴雨橙色预警", long), emergency.CutText},
		{"a long event", change("<event>暴雨", "<event>"+long), emergency.CutName},
		{"a long event code", change("11B03", long), emergency.CutName},
		{"a long name of its sender", change("舒城县气象台", long), emergency.CutName},
		{"many references", change("<info>", "<references>"+repeated(30_000, func(i int) string { return fmt.Sprintf("a@b,%d,2026-07-01T08:30:00+08:00 ", i) })+"</references><info>"), emergency.CutRefs},
		{"one reference that is too long", change("<info>", "<references>a@b,"+strings.Repeat("1", 5000)+",2026-07-01T08:30:00+08:00</references><info>"), emergency.CutRefs},
		{"many shapes", change("<area>", "<area><areaDesc>x</areaDesc>"+repeated(9000, func(i int) string { return fmt.Sprintf("<circle>31.%05d,117 1</circle>", i) })+"</area><area>"), emergency.CutShapes},
		{"a fine polygon", change("<area>", "<area><areaDesc>x</areaDesc><polygon>"+repeated(200_000, func(i int) string { return fmt.Sprintf("31.%06d,117.%06d ", i, i*i%1_000_000) })+"</polygon></area><area>"), emergency.CutPoints},
		{"many areas", change("<area>", "<area><areaDesc>x</areaDesc>"+repeated(20_000, func(i int) string {
			return fmt.Sprintf("<geocode><valueName>x</valueName><value>3415%08d</value></geocode>", 23_100_001+i)
		})+"</area><area>"), emergency.CutAreas},
		{"many areas in one code", change("<area>", "<area><areaDesc>x</areaDesc><geocode><valueName>x</valueName><value>"+repeated(300_000, func(i int) string { return fmt.Sprintf("3415%08d,", 23_100_001+i%50_000) })+"</value></geocode></area><area>"), emergency.CutAreas},
		{"many areas by EBD", ebd(func(a *emergency.Alert) {
			for i := range 100_000 {
				a.Areas = append(a.Areas, playlist.Area(fmt.Sprintf("3415%08d", 23_100_001+i)))
			}
		}), emergency.CutAreas},
		{"a long text by EBD", ebd(func(a *emergency.Alert) { a.Texts[0].Text = long }), emergency.CutText},
		{"a long reference by EBD", ebd(func(a *emergency.Alert) { a.Refs = []playlist.AlertID{playlist.AlertID(long)} }), emergency.CutRefs},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := alert.Parse(t.Context(), c.raw, alert.Options{})
			if err != nil {
				t.Fatalf("refused: %.300v", err)
			}
			if !slices.ContainsFunc(m.Cuts, func(x emergency.Cut) bool { return x.What == c.cut }) ||
				!slices.ContainsFunc(m.Warnings, func(w say.Message) bool { return w.Key == c.cut }) {
				t.Errorf("it is not told: %v", m.Cuts)
			}
			if len(m.Raw) != len(c.raw) {
				t.Error("the bytes as they came are not whole")
			}
			b := emergency.NewBook(emergency.Kept{})
			p := &playlist.Programme{Site: playlist.Site{Area: "341523100000"}, Outputs: []playlist.Output{{Name: "a"}}}
			p.Alerts.Unsigned = []playlist.AlertSource{playlist.AlertByHand}
			b.Receive(emergency.Record{Alert: m.Alert, Source: playlist.AlertByHand, Received: now, Clock: playlist.ClockTrusted}, p)
			if r, _ := b.Record(m.Alert.ID); r.State != emergency.StateWaiting {
				t.Errorf("%s: %s", r.State, r.Reason)
			}
		})
	}
}

func TestAMessageThatCannotBeReferredToIsRefused(t *testing.T) {
	for name, raw := range map[string]string{
		"identifier": strings.Replace(flood, "34152341600000_20260701083000", strings.Repeat("1", emergency.MaxName+1), 1),
		"sender":     strings.Replace(flood, "yj.shucheng.gov.cn", strings.Repeat("a", emergency.MaxName+1), 1),
	} {
		_, err := alert.Parse(t.Context(), []byte(raw), alert.Options{})
		if !errors.Is(err, alert.ErrInvalid) || !strings.Contains(say.In(say.English, err), "alert/"+name) || len(say.In(say.Chinese, err)) > 500 {
			t.Errorf("%s: %.300v", name, err)
		}
	}
	longest := strings.Replace(flood, "34152341600000_20260701083000", strings.Repeat("1", emergency.MaxName), 1)
	if _, err := alert.Parse(t.Context(), []byte(longest), alert.Options{}); err != nil {
		t.Errorf("the longest: %.300v", err)
	}
	long := strings.Repeat("1", emergency.MaxName+1)
	now := time.Date(2026, 7, 1, 0, 30, 0, 0, time.UTC)
	for name, change := range map[string]func(*alert.EBD, *emergency.Alert){
		"EBDID": func(e *alert.EBD, _ *emergency.Alert) { e.ID = long },
		"EBRID": func(e *alert.EBD, _ *emergency.Alert) { e.From = long },
		"EBMID": func(_ *alert.EBD, a *emergency.Alert) { a.ID = playlist.AlertID(long) },
	} {
		e := alert.EBD{ID: "e", From: "f", Time: now}
		a := emergency.Alert{
			ID: "m", Sender: "s", Sent: now, Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
			Areas: []playlist.Area{"341523100000"}, Texts: []emergency.Text{{Language: "zh", Text: "洪水"}},
		}
		change(&e, &a)
		p, err := alerttest.Request(e, a, alert.Sign{})
		if err == nil {
			_, err = alert.Parse(t.Context(), p.Tar, alert.Options{})
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
