package playlist

import "time"

// Local is what a site has of its own that decides what it airs of the county's programme,
// and when. A controller tells it to its county: the county plans a village by it.
type Local struct {
	Zone       string      `json:"zone"`
	Quiet      []Span      `json:"quiet,omitempty"`     // in which nothing routine sounds
	Protected  []Span      `json:"protected,omitempty"` // see [CountyRules]
	Wins       Winner      `json:"wins,omitempty"`
	Exceptions []Exception `json:"exceptions,omitempty"`
	Slots      []LocalSlot `json:"slots,omitempty"`
	More       int         `json:"more,omitempty"` // slots left out: see [MaxLocalSlots]
	Calendar   *Calendar   `json:"calendar,omitempty"`
}

// LocalSlot is a slot of the site's own.
type LocalSlot struct {
	Slot
	Title  string        `json:"title,omitempty"`  // of its playlist
	Length time.Duration `json:"length,omitempty"` // of one airing, about, in nanoseconds; 0: not known
}

// MaxLocalSlots is how many slots a [Local] has at the most.
const MaxLocalSlots = 64

// Local returns what the programme has of the site's own. length is that of a playlist's
// clips, on average; 0 if it is not known.
func (p *Programme) Local(length func(Playlist) time.Duration) Local {
	l := Local{Protected: p.County.Protected, Wins: p.County.Wins, Exceptions: p.County.Exceptions}
	if p.Site.Zone != nil {
		l.Zone = p.Site.Zone.String()
	}
	for _, q := range p.Quiet {
		l.Quiet = append(l.Quiet, q.Span)
	}
	for _, s := range p.Slots {
		if FromCounty(s.Name) {
			continue
		}
		if len(l.Slots) == MaxLocalSlots {
			l.More++
			continue
		}
		list, _ := p.Playlist(s.Playlist)
		s.Since, s.Above = time.Time{}, false
		l.Slots = append(l.Slots, LocalSlot{s, list.Title, time.Duration(s.Count) * length(list)})
	}
	if p.byCalendar() {
		l.Calendar = p.Calendar
	}
	return l
}
