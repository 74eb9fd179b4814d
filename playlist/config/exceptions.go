package config

import (
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// exceptions reads those from slots of the county: in dalaba.toml from all, in a push file
// from those of wider scopes. Which slots there are is not known here.
func (r *reader) exceptions(list []*section) (all []playlist.Exception) {
	for _, s := range list {
		var e playlist.Exception
		if s.need("slot", `slot = "早间健康"`) {
			e.Slot = s.text("slot", "早间健康")
		}
		e.Days, e.From, e.To = s.dates("days"), s.date("from"), s.date("to")
		switch {
		case e.From != "" && e.To != "" && e.From > e.To:
			s.fault("to", say.M("config.dates_backwards", string(e.From), string(e.To)), say.M("config.dates_backwards_remedy"))
		case s.has("days") && (s.has("from") || s.has("to")):
			s.fault("days", say.M("config.exception_both"), say.M("config.exception_both_remedy"))
		case !s.has("days") && !s.has("from") && !s.has("to") && !r.learning:
			s.fault("days", say.M("config.exception_days"), say.M("config.exception_days_remedy"))
		case len(e.Days) > playlist.MaxExceptionDays:
			s.fault("days", say.M("config.exception_many", playlist.MaxExceptionDays), say.M("config.exception_days_remedy"))
		}
		e.At = s.clocks("at")
		s.rest()
		if i := slices.IndexFunc(all, e.Clashes); i >= 0 && e.Check() == nil && all[i].Check() == nil {
			s.fault("slot", say.M("config.exception_twice", i+1), say.M("config.exception_twice_remedy"))
		}
		all = append(all, e)
	}
	return all
}

// clocks is a list of times of day, none of them the day's end.
func (s *section) clocks(key string) (all []playlist.TimeOfDay) {
	const example = "09:30"
	if s.lacks(key) {
		return nil
	}
	v := s.want(key, unstable.Array, say.M("config.list_remedy", key, example))
	if v == nil {
		return nil
	}
	for _, w := range v.list {
		t, err := playlist.ParseTimeOfDay(w.text)
		if (w.kind == unstable.String || w.kind == unstable.LocalTime) && err == nil && t < 24*60 {
			all = append(all, t)
			continue
		}
		s.r.fault(w.at, s.at(key), say.M("config.clock", shown(w.text)), say.M("config.list_remedy", key, example))
	}
	switch {
	case len(v.list) == 0:
		s.r.fault(v.at, s.at(key), say.M("config.empty_list"), say.M("config.empty_list_remedy", key, example))
	case len(v.list) > playlist.MaxExceptionTimes:
		s.r.fault(v.at, s.at(key), say.M("config.exception_many", playlist.MaxExceptionTimes), say.M("config.list_remedy", key, example))
	}
	return all
}
