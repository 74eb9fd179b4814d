package scheduletest

import (
	"fmt"
	"strings"
	"time"

	"dalaba/playlist"
)

// Text is the programme as its config has it, near enough to be read.
func Text(p *playlist.Programme, lengths map[playlist.ClipID]time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "zone %s, outputs", p.Site.Zone)
	for _, o := range p.Outputs {
		fmt.Fprint(&b, " ", o.Name)
	}
	b.WriteByte('\n')
	if p.Calendar != nil {
		fmt.Fprintf(&b, "off %v, worked %v\n", p.Calendar.Off, p.Calendar.On)
	}
	for _, q := range p.Quiet {
		fmt.Fprintf(&b, "quiet %v-%v%s\n", q.From, q.To, weekdays(q.Days))
	}
	for _, l := range p.Playlists {
		fmt.Fprintf(&b, "playlist %s:", l.Name)
		for _, id := range l.Clips {
			fmt.Fprintf(&b, " %s %v", number(id), lengths[id])
		}
		b.WriteByte('\n')
	}
	for _, s := range p.Slots {
		fmt.Fprintf(&b, "slot %s: %q of %s on %s count %d priority %d window %v %s", s.Name, s.Cron, s.Playlist,
			strings.Join(s.Outputs, ","), s.Count, s.Priority, s.Window, s.Missed)
		if s.Until > 0 {
			fmt.Fprintf(&b, " until %v", s.Until)
		}
		fmt.Fprintf(&b, " %s %s%s", s.After, s.IntoQuiet, weekdays(s.Days))
		if s.Chime {
			b.WriteString(" chime")
		}
		if s.From != "" || s.To != "" || s.Except != nil {
			fmt.Fprintf(&b, " dates %s..%s except %v", s.From, s.To, s.Except)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func weekdays(days playlist.Weekdays) string {
	var b strings.Builder
	for d := time.Sunday; days != 0 && d <= time.Saturday; d++ {
		if days>>d&1 == 1 {
			b.WriteString(" " + d.String()[:3])
		}
	}
	if days&playlist.Workdays != 0 {
		b.WriteString(" workdays")
	}
	if days&playlist.Holidays != 0 {
		b.WriteString(" holidays")
	}
	return b.String()
}

// number is a clip's ID without its zeros, or the beginning of it.
func number(id playlist.ClipID) string {
	return "#" + playlist.ClipID(strings.TrimLeft(string(id), "0")).Short()
}

// Text is the course in one line, with a line for each part.
func (c Course) Text(zone *time.Location) string {
	const layout = "02 15:04:05.000 -07"
	var b strings.Builder
	fmt.Fprintf(&b, "  %s due %s on %s %s\n", c.Slot, c.Due.In(zone).Format(layout), c.Output, c.Fate)
	for _, q := range c.Parts {
		fmt.Fprintf(&b, "    %d. %s from %v: %s to %s\n", q.Item, number(q.Clip), q.From, q.Start.In(zone).Format(layout), q.End.In(zone).Format(layout))
	}
	return b.String()
}

// Context is the text of the courses that fell due up to two hours before c, and of
// those that sounded then.
func Context(all []Course, c Course, zone *time.Location) string {
	var b strings.Builder
	early, late := c.Due.Add(-2*time.Hour), c.Due
	for _, q := range c.Parts {
		late = q.End
	}
	for _, d := range all {
		end := d.Due
		for _, q := range d.Parts {
			end = q.End
		}
		same := d.Slot == c.Slot && d.Output == c.Output && d.Due.Equal(c.Due)
		if end.After(early) && !d.Due.After(late) && !same {
			b.WriteString(d.Text(zone))
		}
	}
	return b.String()
}
