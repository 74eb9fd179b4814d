package link

import (
	"slices"
	"strings"

	"dalaba/playlist"
)

// scopeToken is a scope as part of a subject: "a.32.09.24._", "g.NAME" or
// "d.ID". The underscore ends an area, so that a wildcard after it matches
// kinds and never areas below.
func scopeToken(s playlist.Scope) string {
	if a, ok := s.Area(); ok {
		return "a." + strings.Join(areaTokens(a), ".") + "._"
	}
	if g, ok := s.Group(); ok {
		return "g." + g
	}
	id, _ := s.Controller()
	return "d." + string(id)
}

// areaTokens are the groups of digits of an area, without the zero groups at
// its end.
func areaTokens(a playlist.Area) []string {
	var all []string
	for _, g := range [][2]int{{0, 2}, {2, 4}, {4, 6}, {6, 9}, {9, 12}} {
		if len(a) < g[1] || strings.Trim(string(a[g[0]:g[1]]), "0") == "" {
			break
		}
		all = append(all, string(a[g[0]:g[1]]))
	}
	return all
}

// StateSubject is where documents of a scope and kind are published.
func StateSubject(s playlist.Scope, k Kind) string { return "st." + scopeToken(s) + "." + string(k) }

// SyncSubject is where a controller asks what is new.
func SyncSubject(id playlist.ControllerID) string { return "sync." + string(id) }

// ReceiptSubject is where a controller hands in receipts.
func ReceiptSubject(id playlist.ControllerID) string { return "rcpt." + string(id) }

// InboxPrefix is what the subjects begin with on which a controller is
// answered.
func InboxPrefix(id playlist.ControllerID) string { return "_IN." + string(id) }

// FollowedScopes are all the scopes that a controller follows: every ancestor
// of its areas and the areas themselves, its groups and itself.
func FollowedScopes(f playlist.Follower) []playlist.Scope {
	var all []playlist.Scope
	for _, a := range f.Areas {
		for n := 1; n <= len(areaTokens(a)); n++ {
			all = append(all, playlist.AreaScope(ancestor(a, n)))
		}
	}
	for _, g := range f.Groups {
		all = append(all, playlist.GroupScope(g))
	}
	all = append(all, playlist.ControllerScope(f.ID))
	slices.Sort(all)
	return slices.Compact(all)
}

// ancestor is the area's first n groups.
func ancestor(a playlist.Area, n int) playlist.Area {
	head := strings.Join(areaTokens(a)[:n], "")
	return playlist.Area(head + strings.Repeat("0", 12-len(head)))
}
