package county_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/county/notice"
	"dalaba/county/notice/send"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// duty is a county with a clock of its own that tells a duty phone.
type duty struct {
	*county.County
	t       *testing.T
	options county.Options
	store   *store.Store
	now     time.Time
	log     bytes.Buffer

	mu   sync.Mutex
	got  []string // "to: text"
	fail error    // of sending
}

// newDuty starts at noon. The recipients are named; rules may change them.
func newDuty(t *testing.T, rules ...notice.Rule) *duty {
	t.Helper()
	d := &duty{t: t, now: time.Date(2026, 7, 1, 4, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return d.now }
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{Dir: dir, Zone: shanghai, Log: quiet(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	keys := filepath.Join(dir, "keys")
	if _, err := county.Found(t.Context(), st, keys); err != nil {
		t.Fatal(err)
	}
	d.store = st
	d.options = county.Options{
		Name: "舒城县", Area: countyArea, Zone: shanghai, Store: st, Log: slog.New(slog.NewTextHandler(&d.log, nil)), Now: clock,
		Keys: must[county.Keys](t)(county.ReadKeys(keys)), Authority: must[*link.Authority](t)(link.NewAuthority("x")), Version: "test",
		Publish: func(context.Context, playlist.Scope, link.Kind, []byte) error { return nil },
	}
	if len(rules) == 0 {
		rules = []notice.Rule{rule("duty")}
	}
	for _, r := range rules {
		d.options.Notify = append(d.options.Notify, county.Notify{Rule: r, Send: d.receive})
	}
	d.restart()
	return d
}

func rule(name string) notice.Rule {
	return notice.Rule{Name: name, Language: say.English, About: notice.Kinds(), Limit: 20, Zone: shanghai}
}

// receive is the other end.
func (d *duty) receive(_ context.Context, m send.Message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.got = append(d.got, m.To+": "+m.Text)
	return nil
}

// restart is another start of the county on the same store.
func (d *duty) restart() { d.County = county.New(d.options) }

// add takes a controller in, with what it says of itself.
func (d *duty) add(id playlist.ControllerID, name string, area playlist.Area, h link.Health) {
	d.t.Helper()
	code := store.Code{ID: "code " + string(id), Secret: []byte("x"), Controller: id, Name: name, Area: area, Approve: true, Made: d.now, Expires: d.now.Add(time.Hour)}
	if err := d.store.AddCode(d.t.Context(), code); err != nil {
		d.t.Fatal(err)
	}
	must[store.Controller](d.t)(d.store.UseCode(d.t.Context(), code.ID, store.Controller{Key: "key " + string(id), Made: d.now}))
	d.seen(id, area, h)
}

// seen is a sync of a controller.
func (d *duty) seen(id playlist.ControllerID, area playlist.Area, h link.Health) {
	d.t.Helper()
	raw := must[[]byte](d.t)(json.Marshal(h))
	err := d.store.Seen(d.t.Context(), id, store.Report{Health: raw, Site: area, Outputs: []store.Output{{Name: "村口", Area: area, Residents: 100}}})
	if err != nil {
		d.t.Fatal(err)
	}
}

// pass lets time go by, with syncs of those that are online.
func (d *duty) pass(span time.Duration, online ...func()) {
	d.t.Helper()
	for end := d.now.Add(span); d.now.Before(end); {
		for _, sync := range online {
			sync()
		}
		d.now = d.now.Add(10 * time.Second)
		if err := county.NoticesNow(d.t.Context(), d.County); err != nil {
			d.t.Fatal(err)
		}
	}
}

// told takes out what the phones got.
func (d *duty) told() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := strings.Join(d.got, "\n")
	d.got = nil
	return all
}

// expect fails the test unless what was told since the last time has these parts, and
// nothing if there are none.
func (d *duty) expect(parts ...string) {
	d.t.Helper()
	got := d.told()
	if len(parts) == 0 && got != "" {
		d.t.Errorf("told %q, want nothing", got)
	}
	for _, p := range parts {
		if !strings.Contains(got, p) {
			d.t.Errorf("no %q in what was told:\n%s", p, got)
		}
	}
}

var good = link.Health{Store: "ok", Understands: []string{link.MemberHears}, Outputs: []link.OutputHealth{{Name: "村口", State: "ok"}}}

func TestAVillageThatIsSilentIsTold(t *testing.T) {
	d := newDuty(t)
	d.add("v1", "大坝村", village, good)
	up := func() { d.seen("v1", village, good) }
	d.pass(15*time.Minute, up)
	d.expect()
	d.pass(10 * time.Minute)
	d.expect("duty: 1 controller silent: 大坝村\n大坝村: last seen 07-01 12:14")
	d.restart()
	d.pass(30 * time.Minute)
	d.expect() // not twice
	d.pass(10*time.Minute, up)
	d.expect("duty: 1 controller back: 大坝村")
}

func TestAPowerCutOfATownIsOneMessage(t *testing.T) {
	d := newDuty(t)
	var up []func()
	for i := range 30 {
		id, area := playlist.ControllerID(fmt.Sprintf("v%02d", i)), playlist.Area(fmt.Sprintf("341523100%03d", 201+i))
		d.add(id, fmt.Sprintf("村%02d", i), area, good)
		up = append(up, func() { d.seen(id, area, good) })
	}
	d.pass(11*time.Minute, up...)
	for len(up) > 10 { // they fall silent within a minute and a half
		up = up[:max(10, len(up)-3)]
		d.pass(10*time.Second, up...)
	}
	d.pass(20*time.Minute, up...)
	if got := d.told(); strings.Count(got, "duty:") != 1 || !strings.Contains(got, "20 controllers silent: 村10, 村11, 村12, 村13, 村14 and 15 more\nall in one town: 341523100000: 20") {
		t.Error(got)
	}
}

func TestNoVillageIsSilentBecauseTheCountyWasDown(t *testing.T) {
	d := newDuty(t)
	d.add("v1", "大坝村", village, good)
	d.pass(time.Minute)
	d.now = d.now.Add(3 * time.Hour)
	d.restart()
	d.pass(5 * time.Minute)
	d.pass(20*time.Minute, func() { d.seen("v1", village, good) })
	d.expect()
}

func TestAFaultIsToldAndThatItIsMended(t *testing.T) {
	d := newDuty(t)
	ill := good
	ill.Store, ill.Outputs = "damaged", []link.OutputHealth{{Name: "村口", State: "away"}}
	d.add("v1", "大坝村", village, good)
	d.pass(10*time.Minute, func() { d.seen("v1", village, ill) })
	d.expect("1 controller faulty: 大坝村", `大坝村: output "村口" has no sound device`, "大坝村: its store is in trouble (damaged)")
	d.pass(10*time.Minute, func() { d.seen("v1", village, good) })
	d.expect("1 controller mended: 大坝村")
}

func TestADeafVillageIsTold(t *testing.T) {
	d := newDuty(t)
	old := good
	old.Understands = nil
	d.add("v1", "大坝村", village, good)
	d.pass(10*time.Minute, func() { d.seen("v1", other, old) })
	d.expect("1 controller cannot hear the alerts for the area given: 大坝村")
}

func TestARecipientIsToldOfWhatItWants(t *testing.T) {
	mine, theirs := rule("mine"), rule("theirs")
	mine.Areas, mine.About = []playlist.Area{townArea}, []notice.Kind{notice.Fault}
	theirs.Areas = []playlist.Area{other}
	d := newDuty(t, mine, theirs)
	ill := good
	ill.Store = "damaged"
	d.add("v1", "大坝村", village, ill)
	d.pass(10*time.Minute, func() { d.seen("v1", village, ill) })
	if got := d.told(); !strings.HasPrefix(got, "mine: ") || strings.Contains(got, "theirs: ") {
		t.Error(got)
	}
	d.pass(30 * time.Minute) // it is silent
	d.expect()
}

// sound has an alert sounded.
func (d *duty) sound(level emergency.Level, title string, scopes ...playlist.Scope) playlist.AlertID {
	d.t.Helper()
	v := must[county.Verdict](d.t)(d.TakeByHand(d.t.Context(), county.ByHand{Text: "请撤离", Title: title, Level: level, Scopes: scopes, Life: time.Hour}, false))
	return v.ID
}

func TestAnAlertIsToldAndThatItIsCancelled(t *testing.T) {
	d := newDuty(t)
	d.add("v1", "大坝村", village, good)
	id := d.sound(emergency.Red, "暴雨", playlist.AreaScope(townArea))
	d.pass(10 * time.Second)
	d.expect("duty: [alert] red (level 1) 暴雨: waiting\nfor 1 controller (1 online): 大坝村\nareas: 341523100000\nfrom 舒城县, received 07-01 12:00")
	d.restart()
	d.pass(time.Minute)
	d.expect()
	must[county.Verdict](t)(d.CancelByHand(t.Context(), id))
	d.pass(5 * time.Minute)
	if got := d.told(); got != "duty: [cancelled] red (level 1) 暴雨" {
		t.Error(got)
	}
}

func TestAnAlertThatWaitsForAPersonIsTold(t *testing.T) {
	d := newDuty(t)
	d.options.Alerts.Unsigned, d.options.Alerts.Review, d.options.Alerts.ReviewWait = []string{county.FromCAP}, []emergency.Level{emergency.Yellow}, 5*time.Minute
	d.restart()
	d.add("v1", "大坝村", village, good)
	for _, id := range []playlist.AlertID{"a", "b"} {
		in := fromOutside(id, emergency.Yellow)
		in.Alert.Sent = d.now
		must[county.Verdict](t)(d.Take(t.Context(), in))
	}
	d.pass(10 * time.Second)
	d.expect("yellow (level 3) 暴雨: waiting for a person\nit waits for a duty officer until 12:05:00, and then sounds by itself. To sound it: alert release a; not at all: alert refuse a\nfrom met")
	d.pass(4 * time.Minute)
	d.expect()
	must[county.Verdict](t)(d.Release(county.As(t.Context(), "wang"), "a"))
	d.pass(time.Minute)
	d.expect("[released] yellow (level 3) 暴雨: released by wang, it sounds now\nfor 1 controller (0 online): 大坝村")
	d.pass(2 * time.Minute)
	d.expect("[not heard] yellow (level 3) 暴雨: 1 of 1 controller silent, 2 min after it was sent")
	must[county.Verdict](t)(d.Decline(county.As(t.Context(), "wang"), "b", "误报"))
	d.pass(10 * time.Second)
	d.expect("[cancelled] yellow (level 3) 暴雨", "a duty officer refused it")
}

func TestAnAlertThatDidNotSoundIsTold(t *testing.T) {
	d := newDuty(t)
	d.add("v1", "大坝村", village, good)
	d.add("v2", "小河村", "341523100202", good)
	id := d.sound(emergency.Orange, "大风", playlist.AreaScope(townArea))
	d.pass(110 * time.Second)
	if got := d.told(); strings.Contains(got, "not heard") {
		t.Error(got)
	}
	began := d.now.Add(-time.Minute)
	row := asrun.Row{
		Seq: 1, Airing: "x", Item: 1, Part: 1, Due: began, Started: began, Ended: d.now, Output: "村口", Area: village, Alert: id,
		Outcome: asrun.Complete, Frames: 48000, OfFrames: 48000, Clock: playlist.ClockTrusted, Used: asrun.UsedClip,
	}
	receipt := link.Receipt{Receipt: asrun.Receipt{Row: row}}
	must[int64](t)(d.store.AddReceipts(t.Context(), link.Batch{Controller: "v1", Epoch: "e", Receipts: []link.Receipt{receipt}}))
	d.pass(30 * time.Second)
	d.expect("duty: [not heard] orange (level 2) 大风: 1 of 2 controllers silent, 2 min after it was sent\n小河村 (it was online, and has not been heard of since)")
	d.pass(10 * time.Minute)
	d.expect()
}

func TestAnAlertThatStillSoundsIsNotToldAsUnheard(t *testing.T) {
	d := newDuty(t)
	d.add("v1", "大坝村", village, good)
	id := d.sound(emergency.Orange, "大风", playlist.AreaScope(townArea))
	err := d.store.Delivered(t.Context(), "v1", []playlist.AlertID{id}, []store.Standing{{Alert: id, State: emergency.StateAiring}})
	if err != nil {
		t.Fatal(err)
	}
	d.pass(10 * time.Minute)
	if got := d.told(); strings.Contains(got, "not heard") {
		t.Error(got)
	}
}

func TestARefusedMessageIsTold(t *testing.T) {
	d := newDuty(t)
	cap := func(id string) county.Incoming {
		return county.Incoming{Source: county.FromCAP, Raw: []byte("<alert/>"), Alert: emergency.Alert{
			ID: playlist.AlertID(id), Sender: "stranger", Sent: d.now, Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
			Event: "flood " + id, Texts: []emergency.Text{{Language: "en", Text: "run"}}, Areas: []playlist.Area{countyArea},
			Signature: emergency.Signature{State: emergency.SignatureAbsent},
		}}
	}
	must[county.Verdict](t)(d.Take(t.Context(), cap("a")))
	d.pass(10 * time.Second)
	d.expect("duty: 1 alert not passed on: red (level 1) flood a\nred (level 1) flood a (from stranger, received 07-01 12:00): it bears no signature")
	for i := range 30 { // a flood of them is one message
		must[county.Verdict](t)(d.Take(t.Context(), cap(fmt.Sprint("b", i))))
		d.pass(10 * time.Second)
	}
	d.expect()
	d.pass(10 * time.Minute)
	if got := d.told(); strings.Count(got, "duty:") != 1 || !strings.Contains(got, "30 alerts not passed on") {
		t.Error(got)
	}
}

func TestWhatAStrangerWroteIsBriefOnThePhone(t *testing.T) {
	d := newDuty(t)
	a := emergency.Alert{
		ID: "a", Sender: "x\nhttps://example.org", Sent: d.now, Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
		Texts: []emergency.Text{{Language: "zh-CN", Title: "one\n\x1b[31m" + strings.Repeat("长", 500), Text: "x"}}, Areas: []playlist.Area{countyArea}, Signature: emergency.Signature{State: emergency.SignatureAbsent},
	}
	must[county.Verdict](t)(d.Take(t.Context(), county.Incoming{Source: county.FromCAP, Raw: []byte("<alert/>"), Alert: a}))
	d.pass(10 * time.Second)
	if got := d.told(); !strings.Contains(got, "…") || strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") || len(got) > 700 {
		t.Errorf("%q", got)
	}
}

func TestAVillageThatIsRetiredIsNotToldToBeBack(t *testing.T) {
	d := newDuty(t)
	d.add("v1", "大坝村", village, good)
	d.pass(20 * time.Minute)
	d.expect("1 controller silent")
	must[store.Controller](t)(d.store.ChangeController(t.Context(), "v1", func(k *store.Controller) error { k.State = store.Retired; return nil }))
	d.pass(20 * time.Minute)
	d.expect()
}

func TestANoticeIsTriedAgainUntilItArrives(t *testing.T) {
	d := newDuty(t)
	d.fail = errors.New("down")
	d.sound(emergency.Red, "暴雨", playlist.AreaScope(townArea))
	d.pass(30 * time.Minute)
	d.fail = nil
	d.restart()
	d.pass(5 * time.Minute)
	if got := d.told(); strings.Count(got, "暴雨") != 1 {
		t.Error(got)
	}
	if strings.Contains(d.log.String(), "level=ERROR") || !strings.Contains(d.log.String(), "notice not delivered, it is tried again") {
		t.Error(d.log.String())
	}
}

func TestWhatCouldNotBeToldIsInTheLogAndInTheNextReport(t *testing.T) {
	r := rule("duty")
	eight := playlist.TimeOfDay(14 * 60)
	r.Daily = &eight
	d := newDuty(t, r)
	d.fail = errors.New("down")
	d.sound(emergency.Red, "暴雨", playlist.AreaScope(townArea))
	d.pass(110 * time.Minute)
	if !strings.Contains(d.log.String(), `level=ERROR msg="notice could not be delivered" notify=duty text="[alert] red (level 1) 暴雨: waiting`) {
		t.Error(d.log.String())
	}
	all := must[[]notice.Notice](t)(d.store.Notices(t.Context(), 10))
	if len(all) == 0 || !slices.ContainsFunc(all, func(n notice.Notice) bool { return n.State == notice.Failed && n.Why == "down" }) {
		t.Errorf("%+v", all)
	}
	d.fail = nil
	d.pass(20 * time.Minute)
	d.expect("daily report of 舒城县, 07-01 14:00: not all is well", "1 notice could not be delivered in the last 24 h: [alert] red (level 1) 暴雨: waiting (for duty)",
		"alerts in the last 24 h: 1, of which refused: 0")
}

func TestTheDailyReportComesOnceADay(t *testing.T) {
	r := rule("duty")
	one := playlist.TimeOfDay(13 * 60)
	r.Daily = &one
	r.Quiet = notice.Quiet{From: 12 * 60, To: 15 * 60}
	d := newDuty(t, r)
	d.add("v1", "大坝村", village, good)
	d.add("v2", "小河村", other, good)
	up := func() { d.seen("v1", village, good) }
	d.pass(59*time.Minute, up, func() { d.seen("v2", other, good) })
	d.expect()
	d.now = d.now.Add(time.Minute)
	d.pass(10*time.Second, up, func() { d.seen("v2", other, good) })
	d.expect("duty: daily report of 舒城县, 07-01 13:00: all is well\n2 of 2 controllers online\nalerts in the last 24 h: 0, of which refused: 0\nairings yesterday: 0 planned")
	d.restart()
	d.pass(30*time.Minute, up)
	d.expect()
	d.now = d.now.Add(24 * time.Hour)
	d.restart()
	d.pass(10*time.Second, up)
	d.expect("not all is well\n1 of 2 controllers online\n1 silent: 小河村")
}

func TestQuietHoursAndTheLimitGather(t *testing.T) {
	r := rule("duty")
	r.Quiet = notice.Quiet{From: 12 * 60, To: 13 * 60}
	r.Limit = 2
	d := newDuty(t, r)
	scope := playlist.AreaScope(townArea)
	d.sound(emergency.Yellow, "大风", scope)
	d.now = d.now.Add(time.Second)
	d.sound(emergency.Blue, "大雾", scope)
	d.sound(emergency.Orange, "冰雹", scope)
	d.pass(50 * time.Minute)
	if got := d.told(); !strings.Contains(got, "冰雹") || strings.Contains(got, "大风") {
		t.Error(got)
	}
	d.pass(20 * time.Minute)
	d.expect("duty: 2 notices since 07-01 12:00 (gathered in quiet hours)\n12:00 [alert] yellow (level 3) 大风: waiting\n12:00 [alert] blue (level 4) 大雾: waiting")
	d.pass(2 * time.Hour)
	d.told()
	for _, title := range []string{"甲", "乙", "丙", "丁"} {
		d.sound(emergency.Yellow, title, scope)
		d.pass(10 * time.Second)
	}
	d.sound(emergency.Red, "戊", scope)
	d.pass(10 * time.Second)
	if got := d.told(); !strings.Contains(got, "甲") || !strings.Contains(got, "乙") || strings.Contains(got, "丙") || !strings.Contains(got, "戊") {
		t.Error(got)
	}
	d.pass(65 * time.Minute)
	d.expect("2 notices since", "beyond the limit of an hour", "丙", "丁")
}

func TestTheCountysOwnTroublesAreTold(t *testing.T) {
	d := newDuty(t)
	up := false
	d.options.Connected = func() bool { return up }
	d.restart()
	d.pass(3 * time.Minute)
	d.expect("duty: the county has 1 problem: the broker is not reached")
	up = true
	d.pass(5 * time.Minute)
	d.expect("duty: 1 problem of the county solved: the broker is not reached")
}

func TestAStoreThatCannotBeWrittenIsToldWithoutIt(t *testing.T) {
	d := newDuty(t)
	d.pass(time.Minute)
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		d.now = d.now.Add(10 * time.Second)
		if err := county.NoticesNow(t.Context(), d.County); err == nil {
			t.Fatal("the store is closed")
		}
	}
	if got := d.told(); strings.Count(got, "the county's database cannot be written") != 1 {
		t.Error(got)
	}
}

func TestTwoReplicasTellOnce(t *testing.T) {
	d := newDuty(t)
	d.add("v1", "大坝村", village, good)
	another := county.New(d.options)
	d.sound(emergency.Red, "暴雨", playlist.AreaScope(townArea))
	for range 200 {
		d.now = d.now.Add(10 * time.Second)
		var both sync.WaitGroup
		for _, c := range []*county.County{d.County, another} {
			both.Go(func() {
				if err := county.NoticesNow(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	got := d.told()
	for _, once := range []string{"[alert]", "[not heard]", "silent: 大坝村"} {
		if strings.Count(got, once) != 1 {
			t.Errorf("%q %d times in:\n%s", once, strings.Count(got, once), got)
		}
	}
}

func TestWhatWasKeptGoesOutAfterARestart(t *testing.T) {
	d := newDuty(t)
	n := d.options.Notify[0].Notice(notice.Silent, "x", say.M("notice.now_well"), d.now)
	if _, err := d.store.AddNotice(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if ok, err := d.store.ClaimNotice(t.Context(), 1, d.now, d.now.Add(time.Minute)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	d.pass(50 * time.Second) // one that died had taken it in hand
	d.expect()
	d.pass(20 * time.Second)
	d.expect("duty: well")
}

func TestANoticeForARecipientThatIsGoneIsGivenUp(t *testing.T) {
	d := newDuty(t)
	n := rule("former").Notice(notice.Silent, "x", say.M("notice.now_well"), d.now)
	if _, err := d.store.AddNotice(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	d.pass(20 * time.Second)
	if all := must[[]notice.Notice](t)(d.store.Notices(t.Context(), 1)); all[0].State != notice.Failed || !strings.Contains(d.log.String(), "no longer has this [[notify]]") {
		t.Errorf("%+v\n%s", all, d.log.String())
	}
}

func TestATestNoticeSaysWhatCameOfIt(t *testing.T) {
	d := newDuty(t)
	n, err := county.SendTest(t.Context(), d.County, "duty")
	if err != nil || n.State != notice.Told {
		t.Errorf("%+v, %v", n, err)
	}
	d.expect("duty: test: notices of 舒城县")
	d.fail = errors.New("down")
	if n, err = county.SendTest(t.Context(), d.County, "duty"); err != nil || n.State != notice.Failed || n.Why != "down" {
		t.Errorf("%+v, %v", n, err)
	}
	d.fail = nil
	d.pass(10 * time.Minute)
	d.expect() // it is not tried again
	if _, err := county.SendTest(t.Context(), d.County, "other"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func TestACountyWithoutRecipientsWatchesNothing(t *testing.T) {
	d := newDuty(t)
	d.options.Notify = nil
	d.restart()
	d.sound(emergency.Red, "暴雨", playlist.AreaScope(townArea))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if all := must[[]notice.Notice](t)(d.store.Notices(t.Context(), 1)); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
