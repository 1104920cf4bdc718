/** What the OpenAPI document shows; the ids are those of the sample payload and its delivery. */
export const exampleOf = {
  businessId: '10',
  callSid: 'CA9dd13ec4fcb895203d2162ca7e0297fc',
  deliveryId: '965071f9-51c0-820f-89d2-4315d6738afd',
  attemptId: '5f0c1f0e-6a55-4c39-9d7c-0d3f6f5f2b11',
  requeueId: '0b9f6a52-2f0e-4c7c-8d1f-3f2a4de0b7c6',
  phoneNumber: '+972501234567',
  url: 'https://n8n.example/webhook/calls',
  time: '2025-12-10T14:23:45Z',
} as const
