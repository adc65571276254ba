# what fuzz_elf begins with: exported accessors, interceptors behind strings, a poll function,
# and CPython's two functions over a runtime of their own
	.text
	.macro function name
	.globl \name
	.type \name, @function
\name:
	.cfi_startproc
	.endm
	.macro end name
	.cfi_endproc
	.size \name, . - \name
	.endm

	.balign 16
	function rd_kafka_version
	mov $0x20002ff, %eax
	ret
	end rd_kafka_version
	function rd_kafka_name
	lea 0x920(%rdi), %rax
	ret
	end rd_kafka_name
	function rd_kafka_type
	mov 0x928(%rdi), %eax
	ret
	end rd_kafka_type
	function rd_kafka_memberid
	mov 0x130(%rdi), %rax
	test %rax, %rax
	je 1f
	call inner_poll
1:	ret
	end rd_kafka_memberid
	function rd_kafka_clusterid
	push %rbx
	mov %rdi, %rbx
	lea 0x9b8(%rbx), %rdi
	call inner_poll
	mov 0xbd0(%rbx), %rdi
	test %rdi, %rdi
	pop %rbx
	ret
	end rd_kafka_clusterid
	function rd_kafka_get_watermark_offsets
	push %r12
	push %rbx
	mov %r8, %r12
	call inner_poll
	mov %rax, %rbx
	mov 0x228(%rbx), %rax
	mov %rax, (%r12)
	pop %rbx
	pop %r12
	ret
	end rd_kafka_get_watermark_offsets
	function rd_kafka_queue_poll
	mov (%rdi), %rdi
	lea inner_poll(%rip), %r8
	xor %r9d, %r9d
	mov $4, %ecx
	jmp inner_poll
	end rd_kafka_queue_poll
	function rd_kafka_commit
	push %rbx
	lea manual(%rip), %rax
	pop %rbx
	ret
	end rd_kafka_commit
	function rd_kafka_commit_queue
	push %rbx
	lea manual(%rip), %rax
	pop %rbx
	ret
	end rd_kafka_commit_queue
	function rd_kafka_commit_transaction
	push %rbx
	lea guard(%rip), %rsi
	call inner_poll
	pop %rbx
	ret
	end rd_kafka_commit_transaction
	function rd_kafka_topic_name
	cmpl $0x544b524c, (%rdi)
	jne 1f
	mov 0x18(%rdi), %rax
	ret
1:	mov 0x58(%rdi), %rax
	mov 0x8(%rax), %rax
	ret
	end rd_kafka_topic_name
	function rd_kafka_message_status
	mov 0x70(%rdi), %eax
	ret
	end rd_kafka_message_status
	function rd_kafka_message_timestamp
	mov 0x5c(%rdi), %eax
	mov 0x60(%rdi), %rax
	ret
	end rd_kafka_message_timestamp
	function rd_kafka_message_headers
	push %rbx
	mov 0x68(%rdi), %rax
	pop %rbx
	ret
	end rd_kafka_message_headers
	function rd_kafka_consumer_poll
	mov 0x130(%rdi), %rax
	test %rax, %rax
	je 1f
	jmp inner_poll
1:	ret
	end rd_kafka_consumer_poll
	function rd_kafka_consume_queue
	mov %esi, %edx
	jmp inner_poll
	end rd_kafka_consume_queue

	.macro local name
	.type \name, @function
\name:
	.cfi_startproc
	.endm
	local inner_poll
	push %r15
	pop %r15
	ret
	end inner_poll
	local on_send
	push %r15
	lea send_name(%rip), %rax
	pop %r15
	ret
	end on_send
	local on_ack
	push %r15
	lea ack_name(%rip), %rax
	pop %r15
	ret
	end on_ack
	local on_ack_queue
	push %r12
	call on_ack
	pop %r12
	ret
	end on_ack_queue
	local message_get
	push %rbx
	mov %rdi, %rbx
	mov 0x38(%rdi), %rax
	lea 0x78(%rbx), %rsi
	call on_consume
	lea unhandled(%rip), %rdi
	pop %rbx
	ret
	end message_get
	local serve
	push %rbx
	call message_get
	mov %rax, (%rbx)
	pop %rbx
	ret
	end serve
	local fails
	push %rbx
	call on_ack
	pop %rbx
	ret
	end fails
	local rebalance
	push %rbp
	cmp $0xffffff51, %esi
	mov (%rdx), %eax
	lea delegating(%rip), %rdi
	pop %rbp
	ret
	end rebalance
	local on_response
	push %r15
	lea response_name(%rip), %rax
	pop %r15
	ret
	end on_response
	local on_commit
	push %r15
	lea commit_name(%rip), %rax
	pop %r15
	ret
	end on_commit
	local on_consume
	push %r15
	lea consume_name(%rip), %rax
	pop %r15
	ret
	end on_consume

	function PyContext_CopyCurrent
	push %rsi
	call state
	test %rax, %rax
	je 1f
	mov 0x18(%rax), %rdi
1:	pop %rcx
	ret
	end PyContext_CopyCurrent
	local state
	push %rbx
	mov runtime+0x240(%rip), %rbx
	mov 0xe0(%rbx), %rax
	test %rax, %rax
	pop %rbx
	ret
	end state
	function PyGILState_GetThisThreadState
	lea runtime+0x250(%rip), %rdi
	call inner_poll
	ret
	end PyGILState_GetThisThreadState

	.section .rodata
	.byte 0
send_name:
	.asciz "on_send"
ack_name:
	.asciz "on_acknowledgement"
response_name:
	.asciz "on_response_received"
commit_name:
	.asciz "on_commit"
manual:
	.asciz "manual"
guard:
	.asciz "commit_transaction"
unhandled:
	.asciz "assert: !*\"unhandled optype\""
delegating:
	.asciz "Group \"%s\": delegating %s of %d partition(s) to application on queue %s: %s"
consume_name:
	.asciz "on_consume"

	.data
	.globl PyContext_Type, _PyRuntime
	.type PyContext_Type, @object
	.size PyContext_Type, 8
PyContext_Type:
	.quad 1
	.type _PyRuntime, @object
	.size _PyRuntime, 0x300
_PyRuntime:
runtime:
	.fill 0x300, 1, 0
