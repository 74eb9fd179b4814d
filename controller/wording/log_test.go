package wording_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/playlisttest"
	"dalaba/playlist/say"
)

func TestAnEventIsToldAsPeopleSayIt(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	due := playlisttest.At(t, zone, "2026-11-23 07:30:00")
	id := playlist.ClipID(strings.Repeat("ab", 32))
	for _, c := range []struct {
		name   string
		log    func(log *slog.Logger)
		all    bool
		zh, en string // with what is below after a bar
	}{
		{"a clip by its title, an airing by its slot and time", func(log *slog.Logger) {
			log.With("airing", playlist.NewAiringID("早间", due), "slot", "早间", "output", "村口").Info("clip ended", "clip", id, "item", 1, "part", 1,
				"outcome", asrun.Partial, "reason", asrun.ReasonDevice, "frames", 90*playlist.Rate, "of_frames", 4000*playlist.Rate)
		}, false, "村口：播出结束（时段“早间” 07:30，第3期 体温怎么量，不完整，声音设备没有响应，播了 1 分 30 秒，全长 1 小时 6 分）",
			"村口: clip ended (slot \"早间\" 07:30, issue 3 体温怎么量, partial, the sound device did not answer, 1 min 30 s played, of 1 h 6 min)"},
		{"an unknown clip by the beginning of its ID", func(log *slog.Logger) {
			log.Info("clip fetched", "clip", strings.Repeat("cd", 32), "bytes", 5<<20)
		}, false, "音频已下载（音频 cdcdcdcdcdcd，5.0 MiB）", "clip downloaded (clip cdcdcdcdcdcd, 5.0 MiB)"},
		{"an alert by its title", func(log *slog.Logger) {
			log.Warn("alert received", "alert", playlist.AlertID("flood"), "kind", emergency.KindRequest, "class", emergency.ClassEmergency, "level", emergency.Level(1),
				"state", emergency.StateRefused, "reason", emergency.ReasonExpired, "sent", due.Add(-24*time.Hour), "until", due, "late", false, "clock", playlist.ClockUntrusted)
		}, false, "收到应急消息（“上游来水”，" + say.Word("alerts.kind_", string(emergency.KindRequest)).In(say.Chinese) + "，应急，红色（1级），不播，已过有效期，时钟不可信，2026-11-22 07:30:00 发出，到 07:30:00）", ""},
		{"a cancel by the title of what it cancels", func(log *slog.Logger) {
			log.Info("message about alerts received", "alert", playlist.AlertID("hand,20261123T073000.000000Z"), "kind", emergency.KindCancel, "refs", []playlist.AlertID{"flood"}, "state", emergency.StateLogged, "reason", "")
		}, false, "收到应急消息的取消或答复（针对“上游来水”，取消）", "a cancel of an alert, or an answer, received (about \"上游来水\", cancel)"},
		{"an alert that is cancelled", func(log *slog.Logger) { log.Warn("alert cancelled", "alert", playlist.AlertID("flood")) }, false,
			"应急消息已取消（“上游来水”）", "alert cancelled (\"上游来水\")"},
		{"the state of an alert", func(log *slog.Logger) {
			log.Info("alert", "alert", playlist.AlertID("flood"), "state", emergency.StateAiring)
		}, false,
			"应急消息的状态有变化（“上游来水”，正在播）", ""},
		{"a part of a clip that goes on", func(log *slog.Logger) {
			log.Info("clip ended", "clip", id, "part", 2, "from_frame", 39*playlist.Rate/10, "frames", 81*playlist.Rate/10, "of_frames", 12*playlist.Rate)
		}, false, "播出结束（第3期 体温怎么量，从 3.9 秒处接着播，播了 8.1 秒，全长 12 秒）", ""},
		{"an alert's airing by its title", func(log *slog.Logger) {
			log.Warn("alert on air", "airing", playlist.AlertID("flood").Airing(), "alert", playlist.AlertID("flood"), "output", "村口", "used", asrun.UsedTone, "pass", 2)
		}, false, "村口：应急消息开播（“上游来水”，提示音，第 2 遍）", ""},
		{"an error of ours in the language", func(log *slog.Logger) {
			log.Error("backup not made", "err", fmt.Errorf("copy: %w", say.M("store.command_first", "df")))
		}, false, "备份失败：copy: 先执行 df，或在配置里换一个文件夹", "backup failed: copy: first do: df; or name another folder in the config"},
		{"an error of the system in the language", func(log *slog.Logger) {
			log.Error("inbox cannot be read", "path", "/srv/in", "err", &fs.PathError{Op: "open", Path: "/srv/in", Err: errors.New("permission denied")})
		}, false, "收件箱文件夹读不出来（/srv/in）：/srv/in：没有权限", "the inbox cannot be read (/srv/in): open /srv/in: permission denied"},
		{"an error of several lines below", func(log *slog.Logger) {
			log.Error("backup not made", "err", errors.Join(say.M("store.command_first", "df"), errors.New("broken pipe")))
		}, false, "备份失败|先执行 df，或在配置里换一个文件夹|读的一方已经断开", "backup failed|first do: df; or name another folder in the config|broken pipe"},
		{"lengths that matter", func(log *slog.Logger) {
			log.Info("output opened", "output", "村口", "device", "hw:1", "away_ms", 1500)
		}, false, "村口：声音设备已打开（断开了 1.5 秒，设备 hw:1）", ""},
		{"lengths and counts that say nothing", func(log *slog.Logger) {
			log.Info("started", "pid", 4, "config", "/etc/x", "outputs", 2, "slots", 0, "cut_off", 0)
		}, false, "终端启动（输出 2 路）", "controller started (outputs: 2)"},
		{"all, for a programmer", func(log *slog.Logger) { log.Info("started", "pid", 4, "outputs", 2) }, true, "终端启动（输出 2 路，pid=4）", ""},
		{"what a later program says", func(log *slog.Logger) { log.Info("moon full", "phase", 0.5, "none", nil) }, false, "moon full（phase=0.5）", "moon full (phase=0.5)"},
		{"a message of an earlier program", func(log *slog.Logger) { log.Info("the link rests") }, false,
			"不再连接县平台（本终端已退役，或节目改用存储盘送）", "link to the county stopped: this controller is retired, or served by a stick only"},
		{"why in lines of its own", func(log *slog.Logger) { log.Info("start failed", "times", 3, "why", "one\ntwo") }, false, "启动失败（共 3 次）|one|two", "start failed (3 times)|one|two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told asrun.Event
			c.log(slog.New(data.EventHandler(func(e asrun.Event) { told = e }, nil)))
			told.At = due
			var kept asrun.Event
			text, err := json.Marshal(told)
			if err == nil {
				err = json.Unmarshal(text, &kept)
			}
			if err != nil {
				t.Fatal(err)
			}
			for lang, want := range map[say.Lang]string{say.Chinese: c.zh, say.English: c.en} {
				l := wording.Log{Lang: lang, Zone: zone, All: c.all, Clip: func(x playlist.ClipID) (playlist.Clip, bool) {
					return playlist.Clip{Title: "体温怎么量", Issue: 3}, x == id
				}, Alert: func(x playlist.AlertID) (string, bool) { return "上游来水", x == "flood" }}
				for from, e := range map[string]asrun.Event{"as logged": told, "as kept": kept} {
					text, below := l.Say(e)
					if got := strings.Join(append([]string{text}, below...), "|"); want != "" && got != want {
						t.Errorf("%s, %s:\n got %s\nwant %s", lang, from, got, want)
					}
				}
			}
		})
	}
}

func TestWhatAPersonMustKnowOfIsUrgent(t *testing.T) {
	for _, c := range []struct {
		name   string
		e      asrun.Event
		urgent bool
	}{
		{"an error", asrun.Event{Level: int(slog.LevelError), Message: "output lost"}, true},
		{"what was coped with", asrun.Event{Level: int(slog.LevelWarn), Message: "disk nearly full"}, false},
		{"an alert that sounds", asrun.Event{Level: int(slog.LevelWarn), Message: "alert received", Attrs: map[string]any{"state": emergency.StateWaiting}}, false},
		{"an alert that is refused", asrun.Event{Level: int(slog.LevelWarn), Message: "alert received", Attrs: map[string]any{"state": emergency.StateRefused}}, true},
		{"an alert's file that is refused", asrun.Event{Level: int(slog.LevelWarn), Message: "alert file refused"}, true},
		{"a file in the inbox that is refused", asrun.Event{Level: int(slog.LevelWarn), Message: "inbox file refused"}, true},
		{"a config that is refused, which is shown as a reload", asrun.Event{Level: int(slog.LevelError), Message: "config refused, the old one stays in force"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := wording.Urgent(c.e); got != c.urgent {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestChangesAreToldInOneLine(t *testing.T) {
	many := []config.Change{{How: "added", What: "slot", Name: "早间"}, {How: "added", What: "slot", Name: playlist.CountyName("a.3415", "午间")}, {How: "changed", What: "setting", Name: "alert"}}
	for range 7 {
		many = append(many, config.Change{How: "removed", What: "output", Name: "村口"})
	}
	for _, c := range []struct {
		name    string
		changes []config.Change
		zh, en  string
	}{
		{"none", nil, "没有变化", "nothing has changed"},
		{"many", many, "新增时段“早间”、午间（县）；改动设置 [alert]；去掉输出“村口”、“村口”、“村口”、“村口”、“村口”等，另有 2 个",
			"new slot \"早间\", 午间 (county); changed settings [alert]; removed output \"村口\", \"村口\", \"村口\", \"村口\", \"村口\" and 2 more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := wording.Changes(c.changes)
			if zh, en := m.In(say.Chinese), m.In(say.English); zh != c.zh || en != c.en {
				t.Errorf("%s\n%s", zh, en)
			}
		})
	}
}
