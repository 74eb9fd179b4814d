package link

import (
	"slices"
	"strings"

	"dalaba/playlist"
)

// scopeToken returns a scope as part of a subject: "a.32.09.24._", "g.NAME" or
// "d.ID". The underscore ends an area, so that a wildcard after it matches
// kinds but no areas below.
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

// areaTokens returns the groups of digits of an area, without the groups of
// zeros at its end.
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

// StateSubject returns the subject on which documents of a scope and kind are
// published.
func StateSubject(s playlist.Scope, k Kind) string { return "st." + scopeToken(s) + "." + string(k) }

// SyncSubject returns the subject on which a controller sends its syncs.
func SyncSubject(id playlist.ControllerID) string { return "sync." + string(id) }

// ReceiptSubject returns the subject on which a controller sends its receipts.
func ReceiptSubject(id playlist.ControllerID) string { return "rcpt." + string(id) }

// InboxPrefix returns the beginning of the subjects on which a controller
// receives its responses.
func InboxPrefix(id playlist.ControllerID) string { return "_IN." + string(id) }

// FollowedScopes returns all scopes that a controller follows, if only for their alerts:
// its areas and all their ancestors, its groups and itself.
func FollowedScopes(f playlist.Follower) []playlist.Scope {
	var all []playlist.Scope
	for _, a := range slices.Concat(f.Areas, f.Hears) {
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

// ancestor returns the area that has the first n groups of a and zeros after
// them.
func ancestor(a playlist.Area, n int) playlist.Area {
	head := strings.Join(areaTokens(a)[:n], "")
	return playlist.Area(head + strings.Repeat("0", 12-len(head)))
}
