package wording_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/controller/wording"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/playlisttest"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
)

func TestExplain(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	instant := func(s string) time.Time { return playlisttest.At(t, zone, "2026-11-23 "+s) } // a Monday
	sounded := func(from, to string, o asrun.Outcome, why asrun.Reason, first, frames int64) func(*asrun.Row) {
		return func(r *asrun.Row) {
			r.Started, r.Ended, r.Outcome, r.Reason = instant(from).UTC(), instant(to).UTC(), o, why
			r.FromFrame, r.Frames, r.OfFrames, r.Rank = first*playlist.Rate, frames*playlist.Rate, 60*playlist.Rate, 105
		}
	}
	still := func(r *asrun.Row) { r.Outcome, r.Ended = "", time.Time{} }
	higher := func(r *asrun.Row) { r.Slot, r.Airing, r.Rank = "急", "急@x", 109 }

	for _, c := range []struct {
		name    string
		rows    []asrun.Row
		change  func(*playlist.Programme)
		waits   bool   // the airing of 07:30 is handed out and has not begun
		at, now string // now is 12:00 where empty
		zh, en  []string
	}{
		{
			name: "a clip sounded, whole",
			rows: []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:30:00", "07:31:00", asrun.Complete, "", 0, 60))},
			at:   "07:30:30",
			zh:   []string{"东：时段“早”应于 07:30:00 播出，07:30:00 开始播《健康微课堂》第1期《第1课》。07:31:00 播完。"},
			en:   []string{`东: slot "早", due at 07:30:00, began at 07:30:00 with 健康微课堂, issue 1, "第1课". It ended at 07:31:00, complete.`},
		},
		{
			name: "the site leaves the day out, and a scope moves it",
			change: func(p *playlist.Programme) {
				p.Slots[0].Outputs = []string{"东", "西"}
				p.Slots[0].Exempt = []playlist.Exception{
					{Days: []playlist.Date{"2026-11-23"}, Outputs: []string{"东"}},
					{To: "2026-11-23", At: []playlist.TimeOfDay{9 * 60, 17*60 + 30}, By: "area:320924100000"},
				}
			},
			at: "07:30",
			zh: []string{
				"东：时段“早”的时刻对得上，但 2026-11-23 这里不播。这是本地配置里的 [[exception]] 写的。",
				"西：时段“早”的时刻对得上，但 2026-11-23 这里改在 09:00, 17:30 播。这是县里给 area:320924100000 的节目单定的。",
			},
			en: []string{
				`东: slot "早" names this time, but on 2026-11-23 it is left out here. An [[exception]] in this site's config says so.`,
				`西: slot "早" names this time, but on 2026-11-23 it airs at 09:00, 17:30 here instead. The county's programme for area:320924100000 says so.`,
			},
		},
		{
			name: "late, and asked by the minute in which it was due",
			rows: []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:31:10", "07:32:10", asrun.Complete, asrun.ReasonLate, 0, 60))},
			at:   "07:30",
			zh:   []string{"东：时段“早”应于 07:30:00 播出，07:31:10 开始播《健康微课堂》第1期《第1课》。07:32:10 播完（晚于预定时刻开始）。"},
			en:   []string{`东: slot "早", due at 07:30:00, began at 07:31:10 with 健康微课堂, issue 1, "第1课". It ended at 07:32:10, complete (started late).`},
		},
		{
			name: "late behind another",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:29", "东", 1, 1, sounded("07:29:00", "07:31:09", asrun.Complete, "", 0, 60), higher),
				playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:31:10", "07:32:10", asrun.Complete, asrun.ReasonLate, 0, 60)),
			},
			at: "07:30:00", now: "12:00",
			zh: []string{
				"东：时段“急”应于 07:29:00 播出，07:29:00 开始播《健康微课堂》第1期《第1课》。07:31:09 播完。",
				"东：时段“早”应于 07:30:00 播出，07:31:10 开始播《健康微课堂》第1期《第1课》。之前输出被时段“急”占用。07:32:10 播完（晚于预定时刻开始）。",
			},
		},
		{
			name: "two seconds late, and it has no chime that would explain them",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:29", "东", 1, 1, sounded("07:29:00", "07:30:01", asrun.Complete, "", 0, 60), higher),
				playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:30:02", "07:31:02", asrun.Complete, asrun.ReasonLate, 0, 60)),
			},
			at: "07:30:30",
			zh: []string{"东：时段“早”应于 07:30:00 播出，07:30:02 开始播《健康微课堂》第1期《第1课》。之前输出被时段“急”占用。07:31:02 播完（晚于预定时刻开始）。"},
		},
		{
			name:   "shifted out of quiet hours",
			rows:   []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, sounded("08:00:00", "08:01:00", asrun.Complete, asrun.ReasonLate, 0, 60))},
			change: func(p *playlist.Programme) { p.Quiet[0].From, p.Quiet[0].To = 7*60+30, 8*60 },
			at:     "08:00:30",
			zh:     []string{"东：时段“早”应于 07:30:00 播出，08:00:00 开始播《健康微课堂》第1期《第1课》。等到 08:00:00 免打扰时段结束。08:01:00 播完（晚于预定时刻开始）。"},
		},
		{
			name:   "late because the daemon was off",
			rows:   []asrun.Row{playlisttest.Row(t, "04:59", "东", 1, 1, sounded("05:00:10", "05:01:10", asrun.Complete, asrun.ReasonLate, 0, 60))},
			change: func(p *playlist.Programme) { p.Quiet = nil },
			at:     "05:00:30",
			zh:     []string{"东：时段“早”应于 04:59:00 播出，05:00:10 开始播《健康微课堂》第1期《第1课》。到点时终端没有运行，05:00:00 才启动。05:01:10 播完（晚于预定时刻开始）。"},
		},
		{
			name: "missed behind another",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:29", "东", 1, 1, sounded("07:29:00", "07:33:00", asrun.Complete, "", 0, 60), higher),
				playlisttest.Row(t, "07:30", "东", 1, 0, func(r *asrun.Row) { r.Ended = instant("07:32:00").UTC() }),
			},
			at: "07:30:00",
			zh: []string{
				"东：时段“急”应于 07:29:00 播出，07:29:00 开始播《健康微课堂》第1期《第1课》。07:33:00 播完。",
				"东：时段“早”应于 07:30:00 播出，没有出声：输出一直被时段“急”占用。",
			},
		},
		{
			name: "claimed as the power was lost, and made good",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, func(r *asrun.Row) {
					r.Started, r.Frames, r.Outcome, r.Reason = time.Time{}, 0, asrun.Partial, asrun.ReasonPowerLost
				}),
				playlisttest.Row(t, "07:30", "东", 1, 2, sounded("08:10:00", "08:11:00", asrun.Complete, asrun.ReasonMakeGood, 0, 60)),
			},
			at: "07:30",
			zh: []string{"东：时段“早”应于 07:30:00 播出，08:10:00 开始播《健康微课堂》第1期《第1课》。08:11:00 播完（补播）。"},
		},
		{
			name: "interrupted, and it waits to go on",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:30:00", "07:30:20", asrun.Preempted, asrun.ReasonPreempted, 0, 20)),
				playlisttest.Row(t, "07:30", "东", 1, 2, still, func(r *asrun.Row) { r.Started = time.Time{} }),
			},
			at: "07:30:10", now: "07:31",
			zh: []string{"东：时段“早”应于 07:30:00 播出，07:30:00 开始播《健康微课堂》第1期《第1课》。07:30:20 播到 20.0 秒（全长 60.0 秒）时，被级别更高的播出抢播。现在等着接着播。"},
		},
		{
			name: "taken from the output, and rejoined",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:30:00", "07:30:20", asrun.Preempted, asrun.ReasonPreempted, 0, 20)),
				playlisttest.Row(t, "07:30", "东", 1, 2, sounded("07:31:20", "07:32:00", asrun.Complete, "", 20, 40)),
				playlisttest.Row(t, "07:30:20", "东", 1, 1, sounded("07:30:20", "07:31:20", asrun.Complete, "", 0, 60), higher),
			},
			at: "07:30:10",
			zh: []string{"东：时段“早”应于 07:30:00 播出，07:30:00 开始播《健康微课堂》第1期《第1课》。07:30:20 播到 20.0 秒（全长 60.0 秒）时，被级别更高的时段“急”抢播。07:31:20 从 20.0 秒处续播。07:32:00 播完。"},
			en: []string{`东: slot "早", due at 07:30:00, began at 07:30:00 with 健康微课堂, issue 1, "第1课". At 07:30:20, after 20.0 of 60.0 s, slot "急" of higher rank took the output. It went on at 07:31:20 from 20.0 s. It ended at 07:32:00, complete.`},
		},
		{
			name: "power was lost, and it was made good from the start",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:30:00", "07:30:20", asrun.Partial, asrun.ReasonPowerLost, 0, 20)),
				playlisttest.Row(t, "07:30", "东", 1, 2, sounded("08:10:00", "08:11:00", asrun.Complete, asrun.ReasonMakeGood, 0, 60)),
			},
			at: "08:10",
			zh: []string{"东：时段“早”应于 07:30:00 播出，07:30:00 开始播《健康微课堂》第1期《第1课》。07:30:20 停在 20.0 秒（全长 60.0 秒）：断电或程序中断。08:10:00 从头重播。08:11:00 播完（补播）。"},
			en: []string{`东: slot "早", due at 07:30:00, began at 07:30:00 with 健康微课堂, issue 1, "第1课". It stopped at 07:30:20 after 20.0 of 60.0 s: power was lost, or the daemon broke off. It began again at 08:10:00. It ended at 08:11:00, complete (a make-good).`},
		},
		{
			name: "it sounds now, by a clock that nobody trusts",
			rows: []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:30:00", "07:30:00", "", "", 0, 20), still,
				func(r *asrun.Row) { r.Clock = playlist.ClockUntrusted })},
			at: "07:30:20", now: "07:30:25",
			zh: []string{"东：时段“早”应于 07:30:00 播出，07:30:00 开始播《健康微课堂》第1期《第1课》。现在还在播。当时时钟不可信，以上时刻可能不准。"},
			en: []string{`东: slot "早", due at 07:30:00, began at 07:30:00 with 健康微课堂, issue 1, "第1课". It is still on the air. The clock was not trusted then; these times may be wrong.`},
		},
		{
			name: "it sounds at this very second",
			rows: []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:30:00", "07:30:00", "", "", 0, 20), still)},
			at:   "07:30:20", now: "07:30:20",
			zh: []string{"东：时段“早”应于 07:30:00 播出，07:30:00 开始播《健康微课堂》第1期《第1课》。现在还在播。"},
		},
		{
			name: "due and silent on one output, heard on the other",
			rows: []asrun.Row{
				playlisttest.Row(t, "07:30", "东", 1, 0), playlisttest.Row(t, "07:30", "东", 2, 0),
				playlisttest.Row(t, "07:30", "西", 1, 1, sounded("07:30:00", "07:31:00", asrun.Complete, "", 0, 60)),
			},
			change: func(p *playlist.Programme) { p.Slots[0].Outputs = []string{"东", "西"} },
			at:     "07:30",
			zh: []string{
				"东：时段“早”应于 07:30:00 播出，没有出声：输出被别的播出占用。",
				"西：时段“早”应于 07:30:00 播出，07:30:00 开始播《健康微课堂》第1期《第1课》。07:31:00 播完。",
			},
		},
		{
			name: "suppressed by quiet hours",
			rows: []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 0, func(r *asrun.Row) {
				r.Outcome, r.Reason = asrun.Suppressed, asrun.ReasonQuiet
			})},
			at: "07:30",
			zh: []string{"东：时段“早”应于 07:30:00 播出，没有出声：免打扰时段。"},
			en: []string{`东: slot "早", due at 07:30:00, did not sound: quiet hours.`},
		},
		{
			name: "due, and no record",
			at:   "07:30",
			zh:   []string{"东：时段“早”07:30:00 到点，但没有记录，播没播无法确定：可能当时终端没有运行、至今没有补记，可能记录随数据损坏丢失，也可能当时的配置里还没有这个时段。“dalaba log”可查终端何时启动和停止。"},
		},
		{
			name: "due a moment ago, and it waits", waits: true,
			at: "07:30", now: "07:31",
			zh: []string{"东：时段“早”07:30:00 到点，预计 07:31:00 起播，播节目单“健康课”，共 1 条。预计 07:32:00 播完。"},
			en: []string{`东: slot "早", due at 07:30:00, is expected to begin at 07:31:00, from playlist "健康课", clips: 1. It is expected to end at 07:32:00.`},
		},
		{
			name: "due a moment ago, and nobody knows of it",
			at:   "07:30", now: "07:31",
			zh: []string{"东：时段“早”07:30:00 到点，但没有记录，播没播无法确定：可能当时终端没有运行、至今没有补记，可能记录随数据损坏丢失，也可能当时的配置里还没有这个时段。“dalaba log”可查终端何时启动和停止。"},
		},
		{
			name: "it will air",
			at:   "07:30", now: "06:00",
			zh: []string{"东：时段“早”将于 07:30:00 播出节目单“健康课”，共 1 条；“dalaba plan”列出具体内容。预计 07:31:00 播完。"},
			en: []string{`东: slot "早" will air at 07:30:00 from playlist "健康课", clips: 1; "dalaba plan" names them. It is expected to end at 07:31:00.`},
		},
		{
			name: "it will wait behind another, which is interrupted meanwhile",
			change: func(p *playlist.Programme) {
				p.Slots = append(p.Slots, playlisttest.Slot(t, "长", "29 7 * * *", "东"), playlisttest.Slot(t, "急", "30 29 7 * * *", "东"))
				p.Slots[1].Count, p.Slots[2].Priority = 2, 9
				p.Slots[0].Window = 10 * time.Minute
			},
			at: "07:30:00", now: "06:00",
			zh: []string{
				"东：时段“长”将于 07:29:00 播出节目单“健康课”，共 2 条；“dalaba plan”列出具体内容。中途会被时段“急”抢播，之后接着播。预计 07:32:00 播完。",
				"东：时段“急”将于 07:29:30 播出节目单“健康课”，共 1 条；“dalaba plan”列出具体内容。预计 07:30:30 播完。",
				"东：时段“早”07:30:00 到点，预计 07:32:00 起播，播节目单“健康课”，共 1 条。要等时段“急”播完。预计 07:33:00 播完。",
			},
		},
		{
			name: "it would run into quiet hours, and is shifted",
			change: func(p *playlist.Programme) {
				p.Quiet[0].From, p.Quiet[0].To, p.Slots[0].IntoQuiet = 7*60+31, 8*60, playlist.QuietShift
				p.Slots[0].Count = 2
				p.Playlists[0].Clips = playlisttest.Lessons(2)
			},
			at: "07:30", now: "06:00",
			zh: []string{"东：时段“早”将于 07:30:00 播出节目单“健康课”，共 2 条；“dalaba plan”列出具体内容。要避开免打扰时段，之后再播。预计 08:01:00 播完。"},
		},
		{
			name: "it would run into quiet hours, and is left out",
			change: func(p *playlist.Programme) {
				p.Quiet[0].From, p.Quiet[0].To, p.Slots[0].IntoQuiet, p.Slots[0].Cron = 7*60+31, 8*60, playlist.QuietSuppress, playlisttest.Cron(t, "30 30 7 * * *")
			},
			at: "07:30", now: "06:00",
			zh: []string{"东：时段“早”07:30:30 到点，会播进免打扰时段，不会播出。"},
			en: []string{`东: slot "早" falls due at 07:30:30, would run into quiet hours, and will not sound.`},
		},
		{
			name:   "it will fall due in quiet hours",
			change: func(p *playlist.Programme) { p.Quiet[0].From = 7 * 60; p.Quiet[0].To = 8 * 60 },
			at:     "07:30", now: "06:00",
			zh: []string{"东：时段“早”07:30:00 到点时处于免打扰时段，不会播出。"},
		},
		{
			name:   "it fell due in quiet hours and no record says more",
			change: func(p *playlist.Programme) { p.Quiet[0].From = 7 * 60; p.Quiet[0].To = 8 * 60 },
			at:     "07:30",
			zh:     []string{"东：时段“早”07:30:00 到点时处于免打扰时段，按规定不播；但没有记录可以证实。"},
		},
		{
			name:   "the output is gone from the config",
			change: func(p *playlist.Programme) { p.Slots[0].Outputs = []string{"北"} },
			at:     "07:30",
			zh:     []string{"北：时段“早”07:30:00 到点，但配置里已没有这路输出；用“dalaba check”检查配置。"},
		},
		{
			name:   "the slot begins later",
			change: func(p *playlist.Programme) { p.Slots[0].From = "2026-12-01" },
			at:     "07:30",
			zh:     []string{"时段“早”的时刻对得上，但要到 2026-12-01 才开始生效。"},
			en:     []string{`Slot "早" names this time, but only from 2026-12-01 on.`},
		},
		{
			name:   "the slot has ended",
			change: func(p *playlist.Programme) { p.Slots[0].To = "2026-11-01" },
			at:     "07:30",
			zh:     []string{"时段“早”的时刻对得上，但在 2026-11-01 之后已停播。"},
		},
		{
			name:   "the day is excepted",
			change: func(p *playlist.Programme) { p.Slots[0].Except = []playlist.Date{"2026-11-23"} },
			at:     "07:30",
			zh:     []string{"时段“早”的时刻对得上，但 2026-11-23 在 except 里，当天不播。"},
		},
		{
			name:   "not on this day of the week",
			change: func(p *playlist.Programme) { p.Slots[0].Days = 1 << time.Tuesday },
			at:     "07:30",
			zh:     []string{"时段“早”的时刻对得上，但它在星期一不播。"},
			en:     []string{`Slot "早" names this time, but not on a Monday.`},
		},
		{
			name:   "a day that is no workday",
			change: func(p *playlist.Programme) { byCalendar(p, playlist.Workdays, "2026-11-23") },
			at:     "07:30",
			zh:     []string{"时段“早”的时刻对得上，但 2026-11-23（星期一）是节假日，不在它的 days 里。"},
			en:     []string{`Slot "早" names this time, but 2026-11-23, a Monday, counts as a holiday, which its days leave out.`},
		},
		{
			name:   "a day that is no holiday, in a year without a calendar",
			change: func(p *playlist.Programme) { byCalendar(p, playlist.Holidays, "2025-01-01") },
			at:     "07:30",
			zh:     []string{"时段“早”的时刻对得上，但 2026-11-23（星期一）是工作日，不在它的 days 里。2026 年没有节假日表：工作日按周一到周五算。把放假和调休安排写进文件，列在 [calendar] 的 files 里。"},
			en:     []string{`Slot "早" names this time, but 2026-11-23, a Monday, counts as a workday, which its days leave out. No list of holidays covers 2026: workdays are Monday to Friday there. Put the official days off and days worked into a file, and name it in files of [calendar].`},
		},
		{
			name:   "a workday that is past, in a year without a calendar",
			change: func(p *playlist.Programme) { byCalendar(p, playlist.Workdays, "2025-01-01") },
			rows:   []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:30:00", "07:31:00", asrun.Complete, "", 0, 60))},
			at:     "07:30",
			zh:     []string{"东：时段“早”应于 07:30:00 播出，07:30:00 开始播《健康微课堂》第1期《第1课》。07:31:00 播完。"},
		},
		{
			name:   "a workday to come, in a year without a calendar",
			change: func(p *playlist.Programme) { byCalendar(p, playlist.Workdays, "2025-01-01") },
			at:     "07:30", now: "06:00",
			zh: []string{"东：时段“早”将于 07:30:00 播出节目单“健康课”，共 1 条；“dalaba plan”列出具体内容。预计 07:31:00 播完。2026 年没有节假日表：工作日按周一到周五算。把放假和调休安排写进文件，列在 [calendar] 的 files 里。"},
		},
		{
			name: "nothing was due",
			at:   "09:00",
			zh:   []string{"那时没有安排播出，也没有播出记录。上一次是 07:30:00 的时段“早”。下一次是 2026-11-24 07:30:00 的时段“早”。"},
			en:   []string{`Nothing was due then, and nothing is recorded. The one before is at 07:30:00, slot "早". The next is at 2026-11-24 07:30:00, slot "早".`},
		},
		{
			name: "nothing is due, in quiet hours",
			at:   "22:15",
			zh:   []string{"那时没有安排播出。那时处于免打扰时段。上一次是 07:30:00 的时段“早”。下一次是 2026-11-24 07:30:00 的时段“早”。"},
		},
		{
			name:   "nothing ever",
			change: func(p *playlist.Programme) { p.Slots = nil },
			at:     "09:00",
			zh:     []string{"那时没有安排播出，也没有播出记录。之后五年内也没有安排；用“dalaba check”检查配置里的时段。"},
		},
		{
			name: "a second before it began",
			rows: []asrun.Row{playlisttest.Row(t, "07:30", "东", 1, 1, sounded("07:30:00", "07:31:00", asrun.Complete, "", 0, 60))},
			at:   "07:29:59",
			zh:   []string{"那时没有安排播出，也没有播出记录。上一次是 2026-11-22 07:30:00 的时段“早”。下一次是 07:30:00 的时段“早”。"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &playlist.Programme{
				Site: playlist.Site{Zone: zone}, Outputs: []playlist.Output{{Name: "东"}, {Name: "西"}},
				Quiet:     []playlist.Quiet{{Span: playlist.Span{From: 22 * 60, To: 6 * 60}}},
				Playlists: []playlist.Playlist{{Name: "lessons", Title: "健康课", Clips: playlisttest.Lessons(3)}},
				Slots:     []playlist.Slot{playlisttest.Slot(t, "早", "30 7 * * *", "东")},
			}
			if c.change != nil {
				c.change(p)
			}
			now := c.now
			if now == "" {
				now = "12:00"
			}
			outlook := schedule.Outlook{
				Clip: func(id playlist.ClipID) (playlist.Clip, bool) {
					return playlist.Clip{ID: id, Frames: 60 * playlist.Rate}, true
				},
				State: schedule.State{At: instant(now), Asked: instant(now)},
			}
			if c.waits {
				due := instant("07:30")
				course := schedule.NewCourse(playlist.Airing{ID: playlist.NewAiringID("早", due), Slot: p.Slots[0], Due: due})
				outlook.State.Open = []schedule.Open{{Course: course, Output: "东", Item: 1}}
			}
			ev := schedule.Evidence{
				Rows: c.rows, Alive: true, Started: instant("05:00"), Mark: instant("05:00"),
				Planned: schedule.Plan(p, instant(now).Add(-1), instant(c.at).Add(time.Minute), outlook),
			}
			said := schedule.Explain(p, ev, instant(c.at), instant(now))
			for lang, want := range map[say.Lang][]string{say.Chinese: c.zh, say.English: c.en} {
				var got []string
				for _, m := range said {
					got = append(got, wording.Why(m, instant(c.at), zone).In(lang))
				}
				if want != nil && strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("said\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
				}
			}
		})
	}
}

func TestEveryOutcomeAndReasonHasWords(t *testing.T) {
	for _, o := range []asrun.Outcome{
		asrun.Complete, asrun.Partial, asrun.Preempted, asrun.Missed, asrun.Failed, asrun.Suppressed,
	} {
		if !say.Has("outcome." + string(o)) {
			t.Errorf("outcome %s has no words", o)
		}
	}
	for _, r := range []asrun.Reason{
		asrun.ReasonLate, asrun.ReasonMakeGood, asrun.ReasonPowerLost, asrun.ReasonStopped, asrun.ReasonOff,
		asrun.ReasonClock, asrun.ReasonClockStep, asrun.ReasonBusy, asrun.ReasonPreempted, asrun.ReasonQuiet,
		asrun.ReasonClip, asrun.ReasonDecode, asrun.ReasonDevice, asrun.ReasonNoOutput, asrun.ReasonSuperseded,
		asrun.ReasonInterrupted, asrun.ReasonStore, asrun.ReasonNoSlot,
	} {
		if !say.Has("reason." + string(r)) {
			t.Errorf("reason %s has no words", r)
		}
	}
}

func TestEveryFlagHasWords(t *testing.T) {
	own := []schedule.FlagKind{schedule.FlagLocal, schedule.FlagOnAir, schedule.FlagBroken, schedule.FlagOwed} // no county sees them
	said := []schedule.FlagKind{schedule.FlagQuiet, schedule.FlagLocal, schedule.FlagOnAir}                    // why has sentences of its own for these
	for _, k := range []schedule.FlagKind{
		schedule.FlagQuiet, schedule.FlagLocal, schedule.FlagIntoQuiet, schedule.FlagShifted, schedule.FlagWaits, schedule.FlagMissed,
		schedule.FlagPreempted, schedule.FlagRestarted, schedule.FlagDropped, schedule.FlagUnready, schedule.FlagEmpty,
		schedule.FlagOnAir, schedule.FlagBroken, schedule.FlagOwed,
	} {
		if !say.Has("view.plan_flag_" + string(k)) {
			t.Errorf("plan has no words for %s", k)
		}
		if !slices.Contains(said, k) && !say.Has("why.flag_"+string(k)) {
			t.Errorf("why has no words for %s", k)
		}
		if !slices.Contains(own, k) && !say.Has("county.flag_kind_"+string(k)) {
			t.Errorf("the county has no words for %s", k)
		}
	}
}

func TestExplainKnowsThatTheDaemonIsOff(t *testing.T) {
	zone := playlisttest.Shanghai(t)
	p := &playlist.Programme{
		Site:      playlist.Site{Zone: zone},
		Outputs:   []playlist.Output{{Name: "east"}},
		Playlists: []playlist.Playlist{{Name: "lessons"}},
		Slots:     []playlist.Slot{playlisttest.Slot(t, "s", "30 7 * * *", "east")},
	}
	due := playlisttest.At(t, zone, "2026-11-23 07:30")
	open := asrun.Row{
		Airing: playlist.NewAiringID("s", due), Output: "east", Item: 1, Part: 1, Slot: "s", Due: due,
		Started: due, Frames: 6 * playlist.Rate, OfFrames: 30 * playlist.Rate, Clock: playlist.ClockTrusted,
	}
	for _, c := range []struct {
		name  string
		rows  []asrun.Row
		alive bool
		want  string
	}{
		{"a row left open", []asrun.Row{open}, false, "6.0"},
		{"a row that is open", []asrun.Row{open}, true, "现在还在播"},
		{"no row, and nobody to start it", nil, false, "终端没有运行"},
		{"no row, and the daemon knows of none", nil, true, "无法确定"},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := ""
			ev := schedule.Evidence{Rows: c.rows, Alive: c.alive, Started: due.Add(-time.Hour), Mark: due.Add(-time.Minute)}
			for _, m := range schedule.Explain(p, ev, due, due.Add(10*time.Second)) {
				said += wording.Why(m, due, zone).In(say.Chinese)
			}
			if !strings.Contains(said, c.want) {
				t.Errorf("said %q, want %q in it", said, c.want)
			}
		})
	}
}

// byCalendar has the slots go by a calendar, in which one day is off.
func byCalendar(p *playlist.Programme, days playlist.Weekdays, off playlist.Date) {
	p.Calendar = &playlist.Calendar{Off: []playlist.Date{off}}
	for i, s := range p.Slots {
		s.Days = days
		p.Slots[i] = s.Under(p.Calendar)
	}
}
