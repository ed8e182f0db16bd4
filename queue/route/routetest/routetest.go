// Package routetest holds what every route is measured by: Fake, a route that
// a test can steer, and Run, the suite that reads the contract of package
// route to a route and to the Fake alike.
//
// Neither needs a descriptor or the real time: both work in a bubble of
// testing/synctest. It imports package route, goleak and the standard library.
package routetest
