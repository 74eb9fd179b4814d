package config_test

import (
	"testing"

	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

func TestACronSpecInWords(t *testing.T) {
	for _, c := range []struct{ spec, zh, en string }{
		{"30 7 * * *", "每天 07:30", "daily at 07:30"},
		{"0 30 7 * * *", "每天 07:30", "daily at 07:30"},
		{"@daily", "每天 00:00", "daily at 00:00"},
		{"0 7,12,18 * * *", "每天 07:00 12:00 18:00", "daily at 07:00 12:00 18:00"},
		{"0,30 7,8 * * *", "每天 07:00 07:30 08:00 08:30", "daily at 07:00 07:30 08:00 08:30"},
		{"30 7 * * 1-5", "周一至周五 07:30", "Mon to Fri at 07:30"},
		{"30 7 * * 0,6", "周六、周日 07:30", "Sat, Sun at 07:30"},
		{"30 7 * * 1,3,5", "周一、周三、周五 07:30", "Mon, Wed, Fri at 07:30"},
		{"30 7 1,15 * *", "每月 1, 15 日 07:30", "on day 1, 15 of the month at 07:30"},
		{"30 7 * 12,1 *", "1, 12 月，每天 07:30", "in month 1, 12, daily at 07:30"},
		{"*/10 * * * *", "每天每 10 分钟", "daily every 10 minutes"},
		{"* * * * *", "每天每分钟", "daily every minute"},
		{"*/15 7-9 * * *", "每天 07:00 到 09:59，每 15 分钟", "daily every 15 minutes from 07:00 to 09:59"},
		{"5 * * * *", "每天每小时的 5 分", "daily each hour at minute 5"},
		// For these there are no short words.
		{"*/5 * * * * *", "*/5 * * * * *", "*/5 * * * * *"},
		{"7 1,2,3,4,5,6,7 * * *", "7 1,2,3,4,5,6,7 * * *", "7 1,2,3,4,5,6,7 * * *"},
		{"0 7 13 * 5", "0 7 13 * 5", "0 7 13 * 5"},
		{"0 7 * * 0-6", "每天 07:00", "daily at 07:00"},
	} {
		cron, err := playlist.ParseCron(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		m := config.InWords(cron)
		if zh, en := m.In(say.Chinese), m.In(say.English); zh != c.zh || en != c.en {
			t.Errorf("%s: %q, %q; want %q, %q", c.spec, zh, en, c.zh, c.en)
		}
	}
}
