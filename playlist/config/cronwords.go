package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// mostTimes is how many times of day are named one by one.
const mostTimes = 6

// InWords is what a cron spec means, for people. A spec for which there are no short words
// stays as it is.
func InWords(c playlist.Cron) say.Message {
	f := c.Fields()
	times, ok := timesOf(f)
	if !ok || f.Day != nil && f.Weekday != nil {
		return say.M("cron.spec", c.String())
	}
	days := say.M("cron.daily")
	switch {
	case f.Weekday != nil:
		days = weekdaysOf(f.Weekday)
	case f.Day != nil:
		days = say.M("cron.days", list(f.Day))
	}
	if f.Month != nil {
		days = say.M("cron.months", list(f.Month), days)
	}
	return say.M("cron.at", days, times)
}

// timesOf puts the times of a day into words; ok is false if there are no short ones.
func timesOf(f playlist.CronFields) (m say.Message, ok bool) {
	if !slices.Equal(f.Second, []int{0}) {
		return m, false
	}
	every := stepOf(f.Minute)
	switch {
	case f.Hour == nil && every == 1:
		return say.M("cron.every_minute"), true
	case f.Hour == nil && every > 1:
		return say.M("cron.every", every), true
	case f.Hour == nil:
		return say.M("cron.hourly", list(f.Minute)), len(f.Minute) <= mostTimes
	case f.Minute != nil && len(f.Hour)*len(f.Minute) <= mostTimes:
	case every > 0 && f.Hour[len(f.Hour)-1]-f.Hour[0] == len(f.Hour)-1:
		return say.M("cron.every_from", every, fmt.Sprintf("%02d:00", f.Hour[0]), fmt.Sprintf("%02d:59", f.Hour[len(f.Hour)-1])), true
	default:
		return m, false
	}
	var all []string
	for _, h := range f.Hour {
		for _, m := range f.Minute {
			all = append(all, fmt.Sprintf("%02d:%02d", h, m))
		}
	}
	return say.M("cron.times", strings.Join(all, " ")), true
}

// stepOf is how many minutes apart the minutes of an hour are, if they begin at 0 and are
// so apart to the end of the hour; 0 if not.
func stepOf(minutes []int) int {
	if minutes == nil {
		return 1
	}
	if len(minutes) < 2 || 60%len(minutes) != 0 {
		return 0
	}
	step := 60 / len(minutes)
	for i, m := range minutes {
		if m != i*step {
			return 0
		}
	}
	return step
}

// weekdaysOf names days of the week.
func weekdaysOf(days []int) say.Message {
	name := func(d int) say.Message { return say.M("view.weekday_" + strconv.Itoa(d)) }
	if slices.Equal(days, []int{0, 6}) {
		return say.M("cron.list", name(6), name(0))
	}
	if n := len(days); n > 2 && days[n-1]-days[0] == n-1 {
		return say.M("cron.range", name(days[0]), name(days[n-1]))
	}
	all := name(days[0])
	for _, d := range days[1:] {
		all = say.M("cron.list", all, name(d))
	}
	return all
}

func list(all []int) string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ", ")
}
