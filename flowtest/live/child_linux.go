package live

import "syscall"

// dieWithParent ends a child with the process of the tests, however that ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
