package core

import (
	"cmp"
	"slices"
	"strings"
)

const mostPerPage = 1000

// maxPage bounds what one page lists.
func maxPage(asked int) int {
	if asked <= 0 || asked > mostPerPage {
		return mostPerPage
	}
	return asked
}

// page gathers the first max of what is offered in any order, so that listing 100,000 things neither sorts nor copies
// them all.
type page[T any] struct {
	after, filter string
	max           int
	bound         string // nothing behind it is on the page; "" not known yet
	list          []listed[T]
}

// listed is one thing on a page. Things of one name and kind are the same.
type listed[T any] struct {
	name string
	kind Kind
	what T
}

func newPage[T any](after, filter string, max int) *page[T] {
	return &page[T]{after: after, filter: filter, max: maxPage(max)}
}

func (p *page[T]) offer(name string, k Kind, what T) {
	if name <= p.after || p.bound != "" && name > p.bound || !strings.Contains(name, p.filter) {
		return
	}
	p.list = append(p.list, listed[T]{name, k, what})
	if len(p.list) > 4*p.max+16 {
		p.shrink()
	}
}

// shrink sorts, and keeps the page and what tells whether there is more.
func (p *page[T]) shrink() {
	slices.SortStableFunc(p.list, func(a, b listed[T]) int {
		return cmp.Or(strings.Compare(a.name, b.name), int(a.kind)-int(b.kind))
	})
	p.list = slices.CompactFunc(p.list, func(a, b listed[T]) bool { return a.name == b.name && a.kind == b.kind })
	n := p.max
	for n > 0 && n < len(p.list) && p.list[n].name == p.list[n-1].name {
		n++ // a page goes on behind a name
	}
	if n++; n < len(p.list) {
		clear(p.list[n:])
		p.list = p.list[:n]
		p.bound = p.list[n-1].name
	}
}

// cut returns the page, and the name to go on behind, "" at the end.
func (p *page[T]) cut() (list []listed[T], next string) {
	p.shrink()
	n := p.max
	for n > 0 && n < len(p.list) && p.list[n].name == p.list[n-1].name {
		n++
	}
	if n < len(p.list) {
		return p.list[:n], p.list[n-1].name
	}
	return p.list, ""
}
